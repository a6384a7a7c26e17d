"""Makes `0.1/`: what egressd 0.1 left behind when it was killed, for tests/e2e/upgrade.rs.

    python3 tests/old_version/make.py EGRESSD LIVEKIT_SERVER FOLDER

EGRESSD is the program of version 0.1, built from its own sources. FOLDER is where its files go. Four recordings are in
them: one that ended well, one that failed, one that is over and not uploaded, and one that was being recorded.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).parents[1]
sys.path += [str(TESTS / "contract"), str(TESTS / "py")]

import sign  # noqa: E402
from processes import Process, children, free_port, listens, until  # noqa: E402

KEY, SECRET = "an-api-key", "an-end-to-end-test-secret-of-egressd"
LIVEKIT_KEY, LIVEKIT_SECRET = "devkey", "a-secret-of-thirty-two-characters"
ROOMS = ["complete", "failed", "uploading", "active"]
# The smallest that the encoders take: the files lie in the repository.
OPTIONS = {"width": 160, "height": 128, "videoBitrate": 64, "audioBitrate": 32, "framerate": 10}
RECORDED_S = 3


class Service:
    """`egressd serve` of version 0.1."""

    def __init__(self, egressd, folder, livekit, **settings):
        self._port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "API_HOST": "127.0.0.1",
            "API_PORT": str(self._port),
            "API_KEY": KEY,
            "API_SECRET": SECRET,
            "LIVEKIT_URL_INTERNAL": livekit,
            "LIVEKIT_API_KEY": LIVEKIT_KEY,
            "LIVEKIT_API_SECRET": LIVEKIT_SECRET,
            "EGRESSD_DATA_DIR": str(folder / "egressd"),
            "EGRESSD_MAX_LOAD_PERCENT": "100000",
            "WEBHOOK_ALLOW_PRIVATE": "true",
        }
        self._process = Process("egressd", [egressd, "serve"], folder, environment | settings)
        self._process.until(lambda: listens(self._port))

    def call(self, method, path, body=None):
        """Returns the status and the document of an answer."""
        text = json.dumps(body).encode() if body is not None else b""
        timestamp = str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "x-api-key": KEY,
            "x-rtcstack-timestamp": timestamp,
            "x-rtcstack-signature": sign.request(SECRET.encode(), method, path, timestamp, text),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        with contextlib.closing(connection):
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            return answer.status, json.load(answer)

    def record(self, room):
        """Starts a recording, waits until some of it is there, and returns its egress id."""

        def started():
            # 404 for as long as nobody has joined the room.
            status, answer = self.call("POST", f"/v1/rooms/{room}/recording/start", OPTIONS)
            assert status in (200, 201, 404), answer
            return answer.get("egressId")

        egress_id = until(f"{room} is recorded", started)
        self.wait(egress_id, "active")
        time.sleep(RECORDED_S)
        return egress_id

    def stop(self, room):
        status, answer = self.call("POST", f"/v1/rooms/{room}/recording/stop")
        assert status == 200, answer

    def wait(self, egress_id, wanted):
        path = f"/v1/recordings/{egress_id}"
        until(f"{egress_id} is {wanted}", lambda: self.call("GET", path)[1].get("status") == wanted)

    def kill(self):
        """Kills it and its workers, as a power failure would."""
        for process in [self._process.pid, *children(self._process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.end()


def participants(egressd, livekit, folder):
    for room in ROOMS:
        where = ["--url", livekit, "--room", room, "--api-key", LIVEKIT_KEY, "--api-secret", LIVEKIT_SECRET]
        what = ["--count", "1", "--width", "160", "--height", "120"]
        yield Process(f"publish-{room}", [egressd, "publish", *where, *what], folder, dict(os.environ))


def run(egressd, folder, livekit):
    service = Service(egressd, folder, livekit)
    hook = {"url": f"http://127.0.0.1:{free_port()}/", "secret": "a-secret", "events": ["*"]}
    status, answer = service.call("POST", "/v1/webhooks", hook)
    assert status == 201, answer
    complete = service.record("complete")
    service.stop("complete")
    service.wait(complete, "complete")
    failed = service.record("failed")
    service.kill()

    service = Service(egressd, folder, livekit, EGRESSD_RESUME_WITHIN_SECONDS="0")
    service.wait(failed, "failed")
    service.kill()

    bucket = {
        "MINIO_ENDPOINT": "127.0.0.1",
        "MINIO_PORT": str(free_port()),
        "MINIO_USE_SSL": "false",
        "MINIO_ACCESS_KEY": "minioadmin",
        "MINIO_SECRET_KEY": "minioadmin",
        "MINIO_BUCKET": "recordings",
    }
    service = Service(egressd, folder, livekit, **bucket)
    uploading = service.record("uploading")
    service.stop("uploading")
    service.wait(uploading, "uploading")
    service.record("active")
    service.kill()


def keep(data, kept):
    """Copies what lies in the data folder, without the files that are ready."""
    shutil.rmtree(data / "recordings")
    with contextlib.closing(sqlite3.connect(data / "egressd.db")) as database:
        # One file in the place of three.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(data, kept)


def main():
    egressd, livekit_server, kept = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = pathlib.Path(name)
        port = free_port()
        livekit = f"ws://127.0.0.1:{port}"
        ports = ["--port", str(port), "--rtc.tcp_port", str(free_port()), "--udp-port", str(free_port())]
        keys = ["--keys", f"{LIVEKIT_KEY}: {LIVEKIT_SECRET}"]
        command = [livekit_server, "--dev", "--bind", "127.0.0.1", *ports, *keys]
        server = Process("livekit", command, folder, dict(os.environ))
        running.callback(server.end)
        server.until(lambda: listens(port))
        for publisher in participants(egressd, livekit, folder):
            running.callback(publisher.end)
        run(egressd, folder, livekit)
        keep(folder / "egressd", pathlib.Path(kept))


if __name__ == "__main__":
    main()
