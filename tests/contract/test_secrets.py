"""After a full run: every secret that was used is looked for wherever somebody might read it. The last of all tests.

The database has to hold the secrets of webhooks, since it signs with them (docs/operations.md says so); it is readable
by its owner only, and holds no other.
"""

import re
import stat

import client
from case import Case
from promise import promises
from scene import SECOND, SET_SECRET, begun, main, receiver, register, small, stage, story

# A token of LiveKit (a JWT), and a signature of S3: whoever reads one can use it.
TOKENS = re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}|X-Amz-Signature=[0-9a-f]{64}|Bearer \S{20,}|AWS4-HMAC-SHA256 Credential")
LOGS = "secrets never appear in logs."


def all_secrets():
    story(), begun().killed.result()
    webhooks = {"a webhook's secret": story().secret, "a made secret": story().ended["secret"]}
    return stage().secrets() | webhooks | {"that of the configuration": SET_SECRET, "the second key's": SECOND}


class Secrets(Case):
    def assert_none_in(self, where, text):
        text = text if isinstance(text, bytes) else text.encode()
        for name, secret in all_secrets().items():
            self.assertFalse(secret.encode() in text, f"{name} is in {where}")

    @promises(LOGS)
    def test_no_secret_and_no_token_is_in_a_log(self):
        for service in stage().services():
            self.assert_none_in(f"the log of {service.name}", service.log)
            self.assertIsNone(TOKENS.search(service.log), f"a token is in the log of {service.name}")

    @promises(LOGS)
    def test_no_secret_and_no_token_is_in_a_log_that_tells_everything(self):
        service = stage().service("talkative", LOG_LEVEL="trace", WEBHOOK_ALLOW_PRIVATE="true")
        secret = "a-secret-told-to-the-talkative-one"
        register(service, receiver().url("/talkative"), "*", secret=secret)
        service.until_ended(small("talkative", service, maxDurationSeconds=1))
        receiver().until("/talkative", event="egress_ended")
        self.assertGreater(len(service.log), len(main().log), "it tells more")
        self.assert_none_in("the log that tells everything", service.log)
        self.assertNotIn(secret, service.log)
        found = TOKENS.search(service.log)
        self.assertIsNone(found, found and service.log[max(0, found.start() - 300) : found.start() + 20])

    @promises("A detail never shows a secret, a path of the host or a stack.")
    def test_no_secret_is_in_an_answer(self):
        for request, answer in client.transcript():
            made = request.method == "POST" and request.target == b"/v1/webhooks" and answer.status == 201
            presigned = b"/url" in request.target and answer.status == 200
            if not (made or presigned):
                self.assert_none_in(f"the answer to {request.method} {request.target[:80]}", answer.body + str(answer.headers).encode())
            if answer.status >= 400:
                self.assertNotIn(str(stage().folder).encode(), answer.body)
                self.assertIsNone(re.search(rb"\.rs:\d|panicked|RUST_BACKTRACE", answer.body))

    def test_an_address_of_a_file_shows_no_more_than_the_access_key(self):
        # Which S3 puts into every presigned URL, and which is no secret.
        secrets = {name: secret for name, secret in all_secrets().items() if "access key" not in name}
        for request, answer in client.transcript():
            if b"/url" in request.target:
                for name, secret in secrets.items():
                    self.assertFalse(secret.encode() in answer.body, name)

    def test_no_secret_is_in_metrics_health_or_description(self):
        for target in ("/metrics", "/v1/health", "/v1/openapi.json", "/v1/recordings?limit=100", "/v1/webhooks"):
            self.assert_none_in(target, main().api.get(target).body)

    def test_no_secret_is_in_what_webhooks_are_told(self):
        for delivery in receiver().everything():
            self.assert_none_in("a delivery", delivery.body + repr(delivery.headers).encode())

    def test_no_secret_is_in_the_process_list(self):
        self.assertGreaterEqual(len(story().processes), 2, "the service and its worker")
        for process in story().processes:
            self.assert_none_in(f"the command line {process.command}", process.command)
        for process in story().processes[1:]:
            self.assert_none_in("a worker's environment", process.environment)

    def test_no_secret_is_in_the_spool_or_in_a_file(self):
        self.assertTrue(story().spool, "there was a spool while it was recorded")
        self.assert_none_in("the spool", story().spool)
        self.assert_none_in("the file", story().file.read_bytes())
        for service in stage().services():
            for file in (service.data / "spool").rglob("*"):
                self.assert_none_in(file.name, file.read_bytes() if file.is_file() else b"")

    def test_the_database_is_its_owners_and_holds_no_secret_but_those_of_webhooks(self):
        webhooks = (story().secret, story().ended["secret"], SET_SECRET)
        for service in stage().services():
            for file in (file for file in service.data.iterdir() if file.is_file()):
                content = file.read_bytes()
                for name, secret in all_secrets().items():
                    if secret not in webhooks:
                        self.assertFalse(secret.encode() in content, f"{name} is in {file.name}")
                self.assertEqual(stat.S_IMODE(file.stat().st_mode) & 0o077, 0, f"{file.name} can be read by others")
