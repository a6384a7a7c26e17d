"""Part 5: what a service is told by, and what it says when that is wrong. Nothing here needs more than the program."""

import subprocess

from case import Case
from processes import free_port
from promise import promises
from scene import main, side, stage, story

FAULTS = (
    "A wrong or missing value stops the start-up with one message that lists every fault by its name and what is expected; "
    "secrets never appear in logs."
)
# How long a start may take that is to be refused.
LIMIT_S = 20


def refusal(**changed):
    """Exit code and output of a start with these settings changed; None takes one away."""
    environment = {**main().environment, "API_PORT": str(free_port()), "EGRESSD_DATA_DIR": str(stage().folder / "refused")}
    environment = {name: value for name, value in (environment | changed).items() if value is not None}
    command = [stage().egressd, "serve"]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S)
    return done.returncode, done.stdout + done.stderr


class Faults(Case):
    @promises(FAULTS)
    def test_every_fault_is_listed_at_once(self):
        wrong = {
            "API_PORT": "eighty", "API_KEY": None, "API_SECRET": "", "LIVEKIT_URL_INTERNAL": "livekit:7880", "LIVEKIT_API_KEY": None,
            "LIVEKIT_API_SECRET": None, "MINIO_ENDPOINT": "http://minio:9000", "MINIO_PORT": "0", "MINIO_USE_SSL": "maybe",
            "MINIO_ACCESS_KEY": None, "MINIO_SECRET_KEY": None, "CORS_ORIGINS": "*", "RATE_LIMIT_MAX": "-1",
            "RATE_LIMIT_WINDOW_MS": "a minute", "LOG_LEVEL": "loud", "WEBHOOK_ALLOW_PRIVATE": "perhaps",
        }  # fmt: skip
        code, said = refusal(**wrong)
        self.assertNotEqual(code, 0)
        for name in wrong:
            self.assertIn(name, said)

    @promises(FAULTS)
    def test_each_fault_is_told_by_its_name(self):
        wrong = {
            "API_PORT": ["-1", "65536", "0x50"], "RATE_LIMIT_MAX": ["1.5", "1e3"], "RATE_LIMIT_WINDOW_MS": ["0", "60s"],
            "MINIO_BUCKET": ["A", "..", "a/b", "x" * 64], "CORS_ORIGINS": ["app.example", "https://app.example/path"],
            "LIVEKIT_URL_INTERNAL": ["ftp://livekit", "ws://"], "LOG_LEVEL": ["INFO,debug"],
        }  # fmt: skip
        store = {"MINIO_ENDPOINT": "127.0.0.1", "MINIO_PORT": "9", "MINIO_ACCESS_KEY": "a", "MINIO_SECRET_KEY": "b"}
        for name, values in wrong.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    code, said = refusal(**store, **{name: value})
                    self.assertNotEqual(code, 0)
                    self.assertIn(name, said)

    @promises(FAULTS)
    def test_a_fault_shows_no_secret(self):
        secret = "s3cr3t-of-this-test"
        _, said = refusal(API_SECRET=secret, LIVEKIT_API_SECRET=secret, MINIO_SECRET_KEY=secret, MINIO_ACCESS_KEY=secret, API_PORT="x")
        self.assertIn("API_PORT", said)
        self.assertNotIn(secret, said)


class Files(Case):
    FILE = "Environment variables (a TOML file may hold the same; the environment wins)."

    @promises(FILE, "`EGRESSD_CONFIG` (the TOML file)")
    def test_a_file_may_hold_the_same_and_the_environment_wins(self):
        file = stage().folder / "egressd.toml"
        key, secret = "key-of-the-file", "secret-of-the-file-for-the-suite"
        file.write_text(f'api_key = "{key}"\napi_secret = "{secret}"\napi_port = "not a port"\nrate_limit_max = 7\n')
        service = stage().service("from-a-file", EGRESSD_CONFIG=str(file), API_KEY="", API_SECRET="")
        service.api.key, service.api.secret = key, secret
        statuses = [service.api.get("/v1/webhooks").status for _ in range(8)]
        self.assertEqual(statuses, [200] * 7 + [429])

    @promises(FILE)
    def test_an_unknown_key_of_the_file_is_refused_by_its_name(self):
        file = stage().folder / "wrong.toml"
        file.write_text("api_prot = 8080\n")
        code, said = refusal(EGRESSD_CONFIG=str(file))
        self.assertNotEqual(code, 0)
        self.assertIn("api_prot", said)


class Places(Case):
    NAMES = (
        "The names that existing deployments already have are kept: `API_PORT`, `API_KEY`, `API_SECRET`, "
        "`LIVEKIT_URL_INTERNAL`, `LIVEKIT_API_KEY`, `LIVEKIT_API_SECRET`,"
    )

    @promises(NAMES, "`MINIO_ENDPOINT`, `MINIO_PORT`, `MINIO_USE_SSL`, `MINIO_ACCESS_KEY`, `MINIO_SECRET_KEY`,")
    def test_the_services_of_this_suite_are_told_by_these_names_alone(self):
        names = {name for service in (main(), side()) for name in service.environment if "_" in name}
        self.assertLessEqual({"API_PORT", "API_KEY", "API_SECRET", "LIVEKIT_URL_INTERNAL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"}, names)
        self.assertEqual(main().api.get("/v1/recordings").status, 200)
        self.assertEqual(story().state["status"], "complete")

    @promises("Without an S3 endpoint, recordings go to a local folder.", "`EGRESSD_DATA_DIR` (database, spool and local recordings)")
    def test_recordings_are_where_they_were_to_go(self):
        local = main().data / "recordings" / story().key
        self.assertEqual(local.exists(), stage().mode == "folder")
        self.assertIn(story().key, story().keys)

    @promises("Without `REDIS_URL`, state lives in an embedded database.")
    def test_the_state_is_in_the_data_folder(self):
        self.assertNotIn("REDIS_URL", main().environment)
        files = [file for file in main().data.iterdir() if file.is_file()]
        databases = [file for file in files if file.read_bytes().startswith(b"SQLite format 3")]
        self.assertEqual(len(databases), 1)
