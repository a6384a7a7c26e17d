"""Part 2: who may call, how often, and what errors look like."""

import http.client
import socket
import time

from case import Case
from client import Api, signature
from processes import until
from promise import promises
from scene import SECOND, alone, careful, main, narrow, path, stage

TARGET = path("anything")
SKEW_S = 300
# For the seconds that the test itself takes.
ROOM_S = 20
MEBIBYTE = 1024 * 1024


def spoiled(**headers):
    return main().api.get(TARGET, **headers)


class Keys(Case):
    @promises("| key missing or wrong | 401 |")
    def test_a_key_that_is_missing_or_wrong_is_unauthorized(self):
        for key in (None, "", "another", main().key.upper(), main().key + "x", main().key[:-1], "k" * 5000):
            self.assert_problem(spoiled(X_Api_Key=key), 401, "X-Api-Key")

    @promises("| timestamp or signature header missing | 401 |")
    def test_a_missing_header_is_unauthorized(self):
        self.assert_problem(spoiled(X_RTCstack_Timestamp=None), 401, "X-RTCstack-Timestamp")
        self.assert_problem(spoiled(X_RTCstack_Signature=None), 401, "X-RTCstack-Signature")

    @promises("Every call but `GET /v1/health` and `GET /v1/openapi.json` carries:", "`X-Api-Key`: the API key.")
    def test_every_call_but_two_needs_a_signature(self):
        targets = [
            TARGET, "/v1/recordings", "/v1/recordings/EG_abcdefghijkl", "/v1/recordings/EG_abcdefghijkl/url",
            "/v1/recordings/EG_abcdefghijkl/preview.jpg", "/v1/webhooks", "/v1/webhooks/wh_abcdefghijklmnop",
            "/metrics", "/", "/v1", "/v1/health/", "/v1//health", "/V1/HEALTH", "/nothing", "/v1/openapi.json/",
        ]  # fmt: skip
        for target in targets:
            with self.subTest(target=target):
                self.assert_problem(main().api.open(target), 401)
        self.assertIn(main().api.open("/v1/health").status, (200, 503))


class Signatures(Case):
    FORM = (
        "`X-RTCstack-Signature`: lower-case hex of HMAC-SHA256 keyed with the API secret over "
        "`METHOD \\n PATH \\n TIMESTAMP \\n SHA256HEX(body)` (joined with single `\\n`), where PATH is the request target "
        "exactly as sent (query included, still percent-encoded) and an absent body hashes as the empty string."
    )

    @promises(FORM)
    def test_what_is_signed_is_the_target_as_it_is_sent(self):
        for target in (TARGET, path("Z%C3%BCrich%20caf%c3%a9"), f"{TARGET}?a=%2F&b", f"{TARGET}?", "/v1/recordings?limit=1&status=failed"):
            with self.subTest(target=target):
                self.assertEqual(main().api.get(target).status, 200)

    @promises(FORM)
    def test_the_body_is_signed_too(self):
        request = main().api.request("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["*"]})
        request.body = request.body.replace(b":9/", b":8/")
        self.assert_problem(main().api.send(request), 403)

    @promises("The bare hex and the form `sha256=<hex>` are both accepted.")
    def test_both_forms_are_accepted(self):
        good = main().api.request("GET", TARGET)
        self.assertEqual(main().api.send(good).status, 200)
        good.headers["X-RTCstack-Signature"] = f"sha256={good.headers['X-RTCstack-Signature']}"
        self.assertEqual(main().api.send(good).status, 200)

    @promises("| signature wrong | 403 |")
    def test_a_wrong_signature_is_forbidden(self):
        api, timestamp = main().api, int(time.time())

        def sign(secret=api.secret, method="GET", target=TARGET, at=timestamp, body=b""):
            return signature(secret, method, target, at, body)

        good = sign()
        wrong = [
            good[:-1], good + "0", good.upper(), f"sha256=sha256={good}", f"SHA256={good}", "0" * 64, "", "x", f" {good[1:]}",
            sign(secret="another"), sign(method="POST"), sign(target=TARGET + "?"), sign(at=timestamp - 1), sign(body=b"{}"),
            sign(secret=""), sign(target=TARGET.replace("anything", "%61nything")),
        ]  # fmt: skip
        for spoiled_signature in wrong:
            with self.subTest(signature=spoiled_signature):
                answer = api.send(api.request("GET", TARGET, at=timestamp, X_RTCstack_Signature=spoiled_signature))
                # An empty header counts as a missing one.
                self.assert_problem(answer, 403 if spoiled_signature else 401)

    @promises(
        "| timestamp not a whole number, or more than 300 s from now, either way | 403 |", "`X-RTCstack-Timestamp`: Unix seconds."
    )
    def test_a_timestamp_must_be_whole_and_near(self):
        api, now = main().api, int(time.time())
        wrong = ["now", f"{now}.5", f"{now}.0", f"+{now}", f"{now}s", hex(now), f"{now:,}", f"{now} {now}", "-1", "0", "9" * 30]
        wrong += [now - SKEW_S - ROOM_S, now + SKEW_S + ROOM_S, now * 1000]
        for timestamp in wrong:
            with self.subTest(timestamp=timestamp):
                self.assert_problem(api.send(api.request("GET", TARGET, at=timestamp)), 403, "X-RTCstack-Timestamp")
        for timestamp in (now - SKEW_S + ROOM_S, now + SKEW_S - ROOM_S):
            self.assertEqual(api.send(api.request("GET", TARGET, at=timestamp)).status, 200)

    @promises(
        "start and stop are idempotent, so two equal requests within one second carry the same signature and both are served; "
        "refusing a signature that was used before is a setting, off by default."
    )
    def test_the_same_request_is_served_twice(self):
        request = main().api.request("GET", TARGET)
        self.assertEqual([main().api.send(request).status for _ in range(3)], [200] * 3)


class Settings(Case):
    @promises("refusing a signature that was used before is a setting, off by default.")
    def test_a_signature_that_was_used_before_is_refused_where_that_is_set(self):
        api = careful().api

        def served():
            request = api.request("GET", TARGET)
            return request if api.send(request).status == 200 else None

        # Signatures of the second in which the service was started are refused as well.
        request = until("a call is served", served, poll=0.3)
        self.assert_problem(api.send(request), 403)

    @promises("`X-Api-Key`: the API key.")
    def test_a_second_key_may_be_valid_at_the_same_time(self):
        second = Api(careful().port, "second", SECOND)
        until("the second key is served", lambda: second.get(TARGET).status == 200, poll=0.3)
        self.assert_problem(Api(careful().port, "second", careful().secret).get(TARGET), 403)

    @promises("`GET /metrics` (Prometheus; on its own port when one is configured).")
    def test_metrics_may_have_a_port_of_their_own(self):
        own = Api(careful().metrics_port, None, "").open("/metrics")
        self.assertEqual((own.status, own.headers.get_content_type()), (200, "text/plain"))
        self.assertIn(b"egressd_recordings", own.body)
        self.assertEqual(Api(careful().metrics_port, None, "").open("/v1/recordings").status, 404)
        answer = until("a call is judged", lambda: not_refused(careful().api.get("/metrics")), poll=0.3)
        self.assert_problem(answer, 404)


def not_refused(answer):
    return answer if answer.status != 403 else None


class Limits(Case):
    BODY = "The body is limited (1 MiB by default; 413 past it) and is read only once the headers hold."

    @promises(BODY)
    def test_a_body_of_a_mebibyte_is_read_and_one_more_byte_is_too_much(self):
        api = main().api
        fits = b'{"x":"' + b"x" * (MEBIBYTE - 8) + b'"}'
        self.assertEqual(len(fits), MEBIBYTE)
        self.assert_problem(api.post(path("limits", "/start"), fits), 400, '"x"')
        self.assert_problem(api.post(path("limits", "/start"), fits + b" "), 413)

    @promises(BODY)
    def test_a_body_in_chunks_is_limited_too(self):
        api = main().api
        request = api.request("POST", path("limits", "/start"), b"x" * (MEBIBYTE + 1), Content_Length=None, Transfer_Encoding="chunked")
        size = f"{len(request.body):x}".encode()
        request.body = size + b"\r\n" + request.body + b"\r\n0\r\n\r\n"
        self.assert_problem(api.send(request), 413)

    @promises(BODY)
    def test_the_headers_are_judged_before_the_body_is_read(self):
        api = main().api
        request = api.request("POST", path("limits", "/start"), b"", X_Api_Key="wrong", Content_Length=1000)
        # The thousand bytes are never sent, and the answer comes nevertheless.
        self.assert_problem(api.send(request), 401)

    @promises("Rate limit per API key: 100 requests in 60 s by default, then 429 with `Retry-After`.")
    def test_the_hundred_and_first_request_within_a_minute_is_refused(self):
        limited = stage().service("limited")
        statuses = [limited.api.get(TARGET).status for _ in range(100)]
        self.assertEqual(statuses, [200] * 100)
        refused = limited.api.get(TARGET)
        self.assert_problem(refused, 429)
        self.assertTrue(1 <= int(refused.headers["Retry-After"]) <= 60, refused.headers["Retry-After"])
        self.assertIn(limited.api.open("/v1/health").status, (200, 503), "health has no limit")
        self.assert_problem(limited.api.get(TARGET, X_Api_Key="another"), 401)

    @promises("Rate limit per API key: 100 requests in 60 s by default, then 429 with `Retry-After`.")
    def test_what_is_not_signed_does_not_use_up_a_limit(self):
        for _ in range(120):
            alone().api.get(TARGET, X_RTCstack_Signature="0" * 64)
        self.assertEqual(alone().api.get(TARGET).status, 200)


class Origins(Case):
    @promises("Cross-origin calls are refused unless the origin is listed in `CORS_ORIGINS`.")
    def test_a_page_may_call_only_from_a_listed_origin(self):
        for origin in ("https://app.example", "http://evil.example", "null", "https://app.example.evil", "https://app.example:444"):
            answer = narrow().api.get(TARGET, Origin=origin)
            if origin == "https://app.example":
                self.assertEqual((answer.status, answer.headers["Access-Control-Allow-Origin"]), (200, origin))
            else:
                self.assert_problem(answer, 403)
                self.assertNotIn("Access-Control-Allow-Origin", answer.headers)
        self.assert_problem(main().api.get(TARGET, Origin="https://app.example"), 403)

    @promises("Cross-origin calls are refused unless the origin is listed in `CORS_ORIGINS`.")
    def test_a_preflight_needs_no_signature(self):
        api, asks = narrow().api, {"Access_Control_Request_Method": "POST", "X_Api_Key": None}
        unsigned = {"X_RTCstack_Timestamp": None, "X_RTCstack_Signature": None}
        listed = api.call("OPTIONS", TARGET, Origin="https://app.example", **asks, **unsigned)
        self.assertEqual(listed.status, 204, listed)
        allowed = listed.headers["Access-Control-Allow-Headers"].lower()
        for header in ("x-api-key", "x-rtcstack-timestamp", "x-rtcstack-signature", "content-type"):
            self.assertIn(header, allowed)
        self.assert_problem(api.call("OPTIONS", TARGET, Origin="https://evil.example", **asks, **unsigned), 403)


class Errors(Case):
    FORM = (
        "Errors are `application/problem+json`: "
        '`{"type":"https://rtcstack.dev/errors/not-found","title":"Not Found","status":404,"detail":"No active recording for this room"}`;'
    )

    @promises(FORM)
    def test_an_error_is_written_as_the_contract_shows_it(self):
        answer = main().api.post(path("nowhere", "/stop"))
        expected = (
            b'{"type":"https://rtcstack.dev/errors/not-found","title":"Not Found","status":404,'
            b'"detail":"No active recording for this room"}'
        )
        self.assertEqual((answer.headers["Content-Type"], answer.body), ("application/problem+json", expected))

    @promises(FORM)
    def test_a_path_without_anything_and_a_wrong_method_are_problems_too(self):
        for target in ("/", "/v1", "/v1/rooms", "/v1/rooms//recording", "/v2/recordings", f"{TARGET}/", f"{TARGET}/pause"):
            with self.subTest(target=target):
                self.assertIn(main().api.get(target).status, (400, 404))
                self.assertEqual(main().api.get(target).headers["Content-Type"], "application/problem+json")
        refused = main().api.call("DELETE", TARGET)
        self.assert_problem(refused, 405)
        self.assertIn("GET", refused.headers["Allow"])

    @promises("A detail never shows a secret, a path of the host or a stack.")
    def test_a_detail_shows_nothing_of_the_host(self):
        requests = [
            ("POST", path("x", "/start"), b"{"), ("POST", "/v1/webhooks", {"url": "file:///etc/passwd", "events": ["*"]}),
            ("GET", "/v1/recordings?cursor=x", b""), ("GET", "/v1/recordings/EG_abcdefghijkl/url", b""), ("GET", "/../etc", b""),
        ]  # fmt: skip
        answers = [main().api.call(*request) for request in requests] + [alone().api.post(path("room", "/start"))]
        for answer in answers:
            self.assertGreaterEqual(answer.status, 400)
            for shown in (str(stage().folder), ".rs:", "src/", "panicked", *stage().secrets().values()):
                self.assertNotIn(shown, answer.body.decode())


class Wire(Case):
    @promises("is read only once the headers hold.")
    def test_two_requests_on_one_connection_are_both_judged(self):
        api = main().api
        good = api.request("GET", TARGET, Connection="keep-alive").bytes()
        bad = api.request("GET", TARGET, X_RTCstack_Signature="0" * 64).bytes()
        with socket.create_connection(("127.0.0.1", api.port), 10) as connection:
            connection.sendall(good + bad)
            statuses = []
            file = connection.makefile("rb")
            for _ in range(2):
                status = int(file.readline().split()[1])
                headers = http.client.parse_headers(file)
                file.read(int(headers["Content-Length"]))
                statuses.append(status)
        self.assertEqual(statuses, [200, 403])
