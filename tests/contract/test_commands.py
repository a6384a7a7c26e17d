"""Part 7: the command line, as a terminal or a script sees it."""

import json
import os
import pty
import re
import subprocess
import threading

from case import Case
from movie import probe
from processes import free_port, until
from promise import promises
from scene import main, stage, story

COMMANDS = ("serve", "record", "check", "health", "demo")
HELP = "`--help` on each; exit code 0 only on success; progress on a terminal; nothing but log lines elsewhere."
LIMIT_S = 120


def egressd(*arguments, **environment):
    command = [stage().egressd, *arguments]
    environment = {"PATH": os.environ["PATH"], **environment}
    folder = stage().folder
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S)


class Commands(Case):
    @promises("`egressd serve` (the service),", HELP)
    def test_every_command_has_help(self):
        overview = egressd("--help")
        self.assertEqual((overview.returncode, overview.stderr), (0, ""))
        for command in COMMANDS:
            self.assertRegex(overview.stdout, rf"(?m)^ +{command} ")
            told = egressd(command, "--help")
            self.assertEqual((told.returncode, told.stderr), (0, ""))
            self.assertRegex(told.stdout, rf"Usage: \S+ {command}")

    @promises(HELP)
    def test_what_cannot_be_meant_is_no_success(self):
        for arguments in ((), ("record-everything",), ("serve", "--port", "1"), ("demo", "--seconds", "0"), ("demo", "--seconds", "x")):
            with self.subTest(arguments=arguments):
                done = egressd(*arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertTrue(done.stderr, "it says what was wrong")

    @promises("`egressd check` (configuration, LiveKit, bucket, encoders: what works and what does not, in words),")
    def test_a_check_says_what_works_and_what_does_not(self):
        settings = main().environment | {"API_PORT": str(free_port()), "EGRESSD_DATA_DIR": str(stage().folder / "checked")}
        good = egressd("check", **settings)
        self.assertEqual(good.returncode, 0, good.stdout)
        spoiled = egressd("check", **settings | {"LIVEKIT_API_SECRET": "another-secret-that-livekit-does-not-know"})
        self.assertNotEqual(spoiled.returncode, 0)
        for done in (good, spoiled):
            self.assertIn("LiveKit", done.stdout)
            for secret in stage().secrets().values():
                self.assertNotIn(secret, done.stdout + done.stderr)

    @promises("`egressd record --room NAME --out FILE` (one room, no service),", HELP)
    def test_one_room_is_recorded_without_a_service(self):
        livekit, file = stage().livekit, stage().folder / "recorded.mp4"
        settings = {"LIVEKIT_URL_INTERNAL": livekit.url, "LIVEKIT_API_KEY": livekit.KEY, "LIVEKIT_API_SECRET": livekit.secret}
        settings["EGRESSD_MAX_LOAD_PERCENT"] = "100000"
        call = ("record", "--room", livekit.create("recorded"), "--out", str(file), "--duration", "2", "--framerate", "5")
        done = egressd(*call, **settings)
        self.assertEqual(done.returncode, 0, done.stderr)
        streams, _, _ = probe(file)
        self.assertEqual(sorted(streams), ["audio", "video"])
        for line in done.stderr.splitlines():
            self.assertLessEqual({"timestamp", "level", "message"}, json.loads(line).keys())
        self.assertNotEqual(egressd(*call, **settings).returncode, 0, "the file is there already")

    @promises(HELP)
    def test_a_service_that_is_asked_to_end_ends_with_success(self):
        service = stage().service("to-be-ended")
        self.assertEqual(service.process.end(), 0)

    @promises(
        "`egressd demo` (starts what it needs locally, publishes moving test participants, records them, says where the file is).", HELP
    )
    def test_the_demo_says_where_its_file_is(self):
        servers = {"EGRESSD_LIVEKIT_SERVER": os.environ["EGRESSD_LIVEKIT_SERVER"], "HOME": os.environ.get("HOME", "/")}
        path = f"{os.path.dirname(os.environ['EGRESSD_LIVEKIT_SERVER'])}:{os.environ['PATH']}"
        done = egressd("demo", "--seconds", "3", "--participants", "1", **servers | {"PATH": path})
        self.assertEqual(done.returncode, 0, done.stderr)
        (file,) = re.findall(r"^\S+\.mp4$", done.stdout, flags=re.M)
        streams, _, _ = probe(stage().folder / file)
        self.assertEqual(sorted(streams), ["audio", "video"])


class Logs(Case):
    @promises(HELP)
    def test_a_log_that_no_terminal_shows_has_one_json_object_a_line(self):
        self.assertEqual(story().state["status"], "complete")
        for service in stage().services():
            for line in service.log.splitlines():
                self.assertLessEqual({"timestamp", "level", "message"}, json.loads(line).keys())

    @promises(HELP)
    def test_a_log_on_a_terminal_is_text(self):
        said, environment = bytearray(), main().environment | {"API_PORT": str(free_port())}
        environment["EGRESSD_DATA_DIR"] = str(stage().folder / "on-a-terminal")
        ours, its = pty.openpty()
        child = subprocess.Popen([stage().egressd, "serve"], env=environment, stdin=subprocess.DEVNULL, stdout=its, stderr=its)
        reader = threading.Thread(target=drain, args=(ours, said), daemon=True)
        reader.start()
        try:
            until("the service says something", lambda: b"listening" in said)
        finally:
            child.terminate()
            child.wait()
        self.assertNotIn(b'{"timestamp"', said)


def drain(file, into):
    while True:
        into += os.read(file, 4096)
