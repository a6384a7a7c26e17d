"""What all tests of the suite say in the same way."""

import unittest

TITLES = {
    400: ("bad-request", "Bad Request"),
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "Forbidden"),
    404: ("not-found", "Not Found"),
    405: ("bad-request", "Method Not Allowed"),
    409: ("conflict", "Conflict"),
    413: ("payload-too-large", "Payload Too Large"),
    429: ("rate-limited", "Too Many Requests"),
    503: ("unavailable", "Service Unavailable"),
}


class Case(unittest.TestCase):
    maxDiff = None

    def assert_json(self, answer, status, expected):
        self.assertEqual((answer.status, answer.headers.get_content_type()), (status, "application/json"), answer)
        self.assertEqual(answer.json, expected)

    def assert_problem(self, answer, status, detail=None):
        """An error as part 2 of the contract shows it; `detail` is a part of what it says."""
        kind, title = TITLES[status]
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (status, "application/problem+json"), answer)
        self.assertEqual(list(answer.json), ["type", "title", "status", "detail"])
        expected = {"type": f"https://rtcstack.dev/errors/{kind}", "title": title, "status": status}
        self.assertEqual(answer.json | expected, answer.json, answer)
        self.assertIn(detail or "", answer.json["detail"])
        self.assertTrue(answer.json["detail"], "a detail says something")
