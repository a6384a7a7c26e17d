"""The examples of docs/api.md, run as they stand there: what users copy must work."""

import os

from case import Case
from examples import RECEIVERS, program
from processes import Process, free_port, listens
from scene import begun, main, register, stage


class Callers(Case):
    def test_each_example_records_a_room_and_says_where_the_file_is(self):
        for heading, example in begun().examples.items():
            with self.subTest(heading=heading):
                done, listed = example.result()
                self.assertEqual(listed["status"], "complete", done.stderr)
                self.assertGreaterEqual(listed["duration"], 2)
                self.assertIn("active", done.stdout)
                if stage().mode == "bucket":
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertIn("X-Amz-Signature", done.stdout)
                else:
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn("404", done.stdout + done.stderr)


class Receivers(Case):
    def test_each_example_takes_what_is_signed_and_nothing_else(self):
        for language in RECEIVERS:
            with self.subTest(language=language):
                port, secret, folder = free_port(), f"the secret of {language}", stage().folder
                environment = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": secret}
                receiver = Process(f"receiver-{language}", program(folder, "Receiving webhooks", language), folder, environment)
                try:
                    receiver.until(lambda: listens(port))
                    for given, code in ((secret, 204), ("another", 401)):
                        made = register(main(), f"http://127.0.0.1:{port}/", "*", secret=given)
                        answer = main().api.post(f"/v1/webhooks/{made['id']}/test").json
                        self.assertEqual((answer["delivered"], answer["statusCode"]), (code == 204, code))
                        main().api.call("DELETE", f"/v1/webhooks/{made['id']}")
                finally:
                    receiver.end()
                self.assertEqual(receiver.log.read_text().count("dl_"), 1)
