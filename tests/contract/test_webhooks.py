"""Part 4: registering webhooks, and what they are told."""

from case import Case
from movie import probe
from processes import until
from promise import promises
from scene import ROOM, SET_SECRET, alone, begun, main, receiver, register, small, stage, story

NOBODY = "/v1/webhooks/wh_abcdefghijklmnop"
# A retry may come later than documented on a busy machine, never sooner, but for the way of the first one to its receiver.
FIRST_RETRY_S = 5 - 0.5
CALLS = (
    '`POST /v1/webhooks` `{"url","secret","events":[...]}` -> 201 `{"id":"wh_...","url","events","createdAt"}`; '
    '`GET /v1/webhooks` -> `{"webhooks":[...]}`; `GET`, `PUT` (and `PATCH`) and `DELETE /v1/webhooks/{id}`; '
    '`POST /v1/webhooks/{id}/test` sends a `test` event now and answers `{"delivered":true,"statusCode":200}`.'
)


def webhook(**body):
    return {"url": "http://127.0.0.1:9/hook", "events": ["*"], **body}


class Registering(Case):
    @promises(CALLS)
    def test_a_webhook_is_made_shown_listed_changed_and_removed(self):
        api = main().api
        made = api.post("/v1/webhooks", webhook(secret="s", events=["egress_ended", "egress_started"]))
        self.assertEqual((made.status, list(made.json)), (201, ["id", "url", "events", "createdAt"]), made)
        self.assertRegex(made.json["id"], r"^wh_")
        self.assertEqual(made.json["events"], ["egress_ended", "egress_started"])
        target = f"/v1/webhooks/{made.json['id']}"
        self.assert_json(api.get(target), 200, made.json)
        self.assertIn(made.json, api.get("/v1/webhooks").json["webhooks"])
        self.assertEqual(list(api.get("/v1/webhooks").json), ["webhooks"])

        changed = made.json | {"url": "http://127.0.0.1:8/", "events": ["*"]}
        self.assert_json(api.call("PUT", target, {"url": changed["url"], "events": ["*"]}), 200, changed)
        self.assert_json(api.call("PATCH", target, {"events": ["egress_updated"]}), 200, changed | {"events": ["egress_updated"]})
        removed = api.call("DELETE", target)
        self.assertEqual((removed.status, removed.body), (204, b""))
        for method in ("GET", "DELETE"):
            self.assert_problem(api.call(method, target), 404)

    @promises(CALLS)
    def test_a_webhook_that_is_not_there_is_not_found(self):
        api = main().api
        for target in (NOBODY, "/v1/webhooks/x", "/v1/webhooks/%00", "/v1/webhooks/EG_abcdefghijkl"):
            for method, body in (("GET", b""), ("PUT", webhook()), ("PATCH", {"events": ["*"]}), ("DELETE", b"")):
                with self.subTest(method=method, target=target):
                    self.assert_problem(api.call(method, target, body), 404)
            self.assert_problem(api.post(f"{target}/test"), 404)

    @promises(CALLS)
    def test_a_test_event_is_sent_now(self):
        made = register(main(), receiver().url("/tried", 200), "egress_ended", secret="of the test event")
        answer = main().api.post(f"/v1/webhooks/{made['id']}/test")
        self.assert_json(answer, 200, {"delivered": True, "statusCode": 200})
        (came,) = receiver().got("/tried")
        self.assertEqual((came.json["event"], came.headers["x-rtcstack-webhook-event"]), ("test", "test"))
        self.assertTrue(came.is_signed_with("of the test event"))

        receiver().change("/tried", 500)
        answer = main().api.post(f"/v1/webhooks/{made['id']}/test").json
        self.assertEqual((answer["delivered"], answer["statusCode"]), (False, 500))

    @promises(CALLS)
    def test_a_body_that_cannot_be_meant_is_refused_by_its_key(self):
        wrong = [
            ({"events": ["*"]}, "url"), ({"url": "http://x.example/"}, "events"), (webhook(name="x"), '"name"'),
            (webhook(url=1), "url"), (webhook(url=""), "URL"), (webhook(url="/hook"), "URL"), (webhook(url="ftp://x.example/"), "URL"),
            (webhook(url="javascript:alert(1)"), "URL"), (webhook(secret=1), "secret"), (webhook(secret=""), "secret"),
            (webhook(events=[]), "events"), (webhook(events="*"), "events"), (webhook(events=["ended"]), "events"),
            (webhook(events=[None]), "events"), (webhook(events=["egress_ended "]), "events"), ([], "object"), ("x", "JSON"), (b"", "JSON"),
        ]  # fmt: skip
        for body, named in wrong:
            with self.subTest(body=body):
                refused = main().api.post("/v1/webhooks", body)
                self.assert_problem(refused, 400)
                self.assertIn(named.lower(), refused.json["detail"].lower())

    @promises("A secret is never shown again; without one given, one is made and returned that one time.")
    def test_a_secret_is_shown_once_at_most(self):
        self.assertNotIn("secret", story().all)
        self.assertGreaterEqual(len(story().ended["secret"]), 32)
        shown = main().api.get("/v1/webhooks").body + main().api.get(f"/v1/webhooks/{story().ended['id']}").body
        for secret in (story().secret, story().ended["secret"]):
            self.assertNotIn(secret.encode(), shown)

    @promises("`events` takes exact names or `*`.")
    def test_a_webhook_is_told_only_what_it_asked_for(self):
        self.assertEqual({came.json["event"] for came in receiver().got("/ended")}, {"egress_ended"})
        own = [came.json["event"] for came in receiver().got("/all", egressId=story().id)]
        self.assertEqual(set(own), {"egress_started", "egress_updated", "egress_ended"})
        self.assertEqual(own[-1], "egress_ended")

    @promises("Webhooks can also be set statically in the configuration.")
    def test_a_webhook_of_the_configuration_is_told_and_no_call_changes_it(self):
        (came,) = receiver().until("/set")
        self.assertEqual((came.json["event"], came.json["egressId"]), ("egress_ended", story().id))
        self.assertTrue(came.is_signed_with(SET_SECRET))
        listed = main().api.get("/v1/webhooks").json["webhooks"]
        (own,) = [one for one in listed if one["url"].endswith("/set")]
        for method, body in (("DELETE", b""), ("PATCH", {"events": ["*"]}), ("PUT", webhook())):
            self.assert_problem(main().api.call(method, f"/v1/webhooks/{own['id']}", body), 409)

    @promises("A target that resolves to a loopback, link-local or private address is refused unless the configuration allows it.")
    def test_a_target_inside_the_network_is_refused(self):
        hosts = [
            "127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "LOCALHOST", "[::1]", "[::]", "0.0.0.0", "0",
            "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]", "[64:ff9b::a00:1]", "user@127.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "%31%32%37.0.0.1",
        ]  # fmt: skip
        for host in hosts:
            with self.subTest(host=host):
                self.assert_problem(alone().api.post("/v1/webhooks", webhook(url=f"http://{host}/hook")), 400)
        self.assertEqual(main().api.post("/v1/webhooks", webhook()).status, 201, "where it is allowed")


class Telling(Case):
    @promises(
        '{"event":"egress_ended","egressId":"EG_abc123","roomId":"room-abc","file":"room-abc/2024-04-21T10-00-00.mp4",'
        '"duration":3600,"size":512000000}',
        "These six keys and no others, in a recording that succeeded.",
        "`file` is the object key, `duration` whole seconds (rounded) of the media in the file, `size` bytes of the object.",
    )
    def test_the_end_has_these_six_keys(self):
        body = story().end.json
        self.assertEqual(list(body), ["event", "egressId", "roomId", "file", "duration", "size"])
        _, container, _ = probe(story().file)
        expected = {
            "event": "egress_ended", "egressId": story().id, "roomId": ROOM, "file": story().key,
            "duration": round(float(container["duration"])), "size": story().keys[story().key],
        }  # fmt: skip
        self.assertEqual(body, expected)
        self.assertEqual(body["size"], story().file.stat().st_size)

    @promises("When a recording has ended and its file is in the bucket, exactly one event per webhook:")
    def test_each_webhook_is_told_of_the_end_once(self):
        for address in ("/all", "/ended"):
            ends = receiver().until(address, event="egress_ended")
            # Another test has one of them sent again.
            ids = {end.headers["x-rtcstack-webhook-delivery"] for end in ends}
            self.assertEqual(([end.json["egressId"] for end in ends][:1], len(ids)), ([story().id], 1), address)

    @promises(
        "Delivery: `POST` of the JSON with `Content-Type: application/json`, "
        "`X-RTCstack-Webhook-Signature: sha256=<hex HMAC-SHA256 of the exact body, keyed with the webhook's secret>`, "
        "`X-RTCstack-Webhook-Event: <name>`, `X-RTCstack-Webhook-Delivery: <unique id, the same on every retry>`."
    )
    def test_a_delivery_is_signed_and_named(self):
        for address, secret in (("/all", story().secret), ("/ended", story().ended["secret"])):
            for came in receiver().until(address, event="egress_ended"):
                self.assertTrue(came.is_signed_with(secret))
                self.assertEqual(came.headers["content-type"], "application/json")
                self.assertEqual(came.headers["x-rtcstack-webhook-event"], came.json["event"])
        ids = [came.headers["x-rtcstack-webhook-delivery"] for came in receiver().got("/all")]
        self.assertEqual(len(set(ids)), len(ids))

    @promises(
        "Further events, for those who ask for them: `egress_started` (`egressId`, `roomId`, `startedAt`; once media flows), "
        "`egress_updated`."
    )
    def test_the_start_of_media_is_told(self):
        (came,) = receiver().got("/all", event="egress_started")
        expected = {"event": "egress_started", "egressId": story().id, "roomId": ROOM, "startedAt": story().started_at}
        self.assertEqual(came.json, expected)

    @promises("Any 2xx is success.", "Otherwise (or after a 10 s timeout) it is tried again after 5 s, 30 s and 5 min,")
    def test_what_was_not_taken_comes_again_under_the_same_id(self):
        first, second = receiver().until("/twice", count=2)
        self.assertEqual(first.body, second.body)
        self.assertEqual(first.headers["x-rtcstack-webhook-delivery"], second.headers["x-rtcstack-webhook-delivery"])
        self.assertGreaterEqual(second.at - first.at, FIRST_RETRY_S)
        self.assertTrue(second.is_signed_with(story().secret))

    @promises("Otherwise (or after a 10 s timeout) it is tried again after 5 s, 30 s and 5 min,")
    def test_a_receiver_that_does_not_answer_delays_nobody_and_is_tried_again(self):
        first, second = receiver().until("/hanging", count=2)
        self.assertEqual(first.body, second.body)
        self.assertGreaterEqual(second.at - first.at, 10 + FIRST_RETRY_S)
        self.assertLess(story().end.at - first.at, 10, "another webhook waited for it")

    @promises("No redirect is followed.")
    def test_a_redirect_is_no_success_and_is_not_followed(self):
        receiver().until("/moved", count=2)
        self.assertEqual(receiver().got("/elsewhere"), [])

    @promises(
        "One that failed carries one more key, `error` (a sentence), and `file` is `null`, `duration` and `size` 0 if nothing "
        "could be saved;"
    )
    def test_the_end_of_a_recording_that_failed_says_why(self):
        failed = begun().killed.result()
        (came,) = failed.events
        self.assertEqual(list(came.json), ["event", "egressId", "roomId", "file", "duration", "size", "error"])
        self.assertEqual([came.json[key] for key in ("file", "duration", "size")], [None, 0, 0])
        self.assertEqual(failed.state["status"], "failed")
        self.assertEqual(came.json["error"], failed.state["error"])
        self.assertGreater(len(came.json["error"].split()), 2)


class Looking(Case):
    KEPT = "then marked failed and kept for inspection and resending."

    def test_what_became_of_a_delivery_is_told(self):
        _, taken = receiver().until("/twice", count=2)
        target = f"/v1/webhooks/{story().twice['id']}/deliveries"
        delivered = until("it is noted as delivered", lambda: main().api.get(f"{target}?status=delivered").json["deliveries"])
        (delivery,) = delivered
        self.assertEqual(delivery["id"], taken.headers["x-rtcstack-webhook-delivery"])
        self.assertEqual([attempt["statusCode"] for attempt in delivery["attempts"]], [500, 204])
        self.assertEqual(main().api.get(f"{target}/{delivery['id']}").json["body"].encode(), taken.body)

    @promises(KEPT)
    def test_a_delivery_can_be_sent_again(self):
        target = f"/v1/webhooks/{story().ended['id']}/deliveries"
        first, *_ = receiver().until("/ended")
        name = first.headers["x-rtcstack-webhook-delivery"]
        answer = main().api.post(f"{target}/{name}/resend")
        self.assertEqual((answer.status, answer.json["id"]), (202, name), answer)
        again = receiver().until("/ended", count=2)[1]
        self.assertEqual((again.headers["x-rtcstack-webhook-delivery"], again.body), (name, first.body))

    def test_a_delivery_that_is_not_there_is_not_found(self):
        for name in ("dl_" + "0" * 24, "x", "..", "%00"):
            for method, call in (("GET", ""), ("POST", "/resend")):
                answer = main().api.call(method, f"/v1/webhooks/{story().ended['id']}/deliveries/{name}{call}")
                self.assert_problem(answer, 404)


class Restarting(Case):
    @promises("Pending deliveries survive a restart.")
    def test_what_is_still_to_be_told_is_told_after_a_restart(self):
        service = stage().service("again", WEBHOOK_ALLOW_PRIVATE="true")
        register(service, receiver().url("/later", 503), "egress_ended")
        service.until_ended(small("later", service, maxDurationSeconds=1))
        (refused,) = receiver().until("/later")
        receiver().change("/later", 204)
        service.restart()
        _, taken = receiver().until("/later", count=2)
        self.assertEqual(taken.headers["x-rtcstack-webhook-delivery"], refused.headers["x-rtcstack-webhook-delivery"])
        self.assertEqual(taken.body, refused.body)
