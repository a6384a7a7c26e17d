"""Part 1: start, stop and state."""

import datetime

from case import Case
from promise import promises
from scene import BRIEF_S, ROOM, SMALL, alone, begun, main, path, side, stage, start, story

ID = r"^EG_[A-Za-z0-9]{12}$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


class Starting(Case):
    @promises(
        '| `POST /v1/rooms/{roomId}/recording/start` | `{"egressId":"EG_abc123","status":"starting","startedAt":"2024-04-21T10:00:00.000Z"}` |'
    )
    def test_an_answer_has_these_three_keys(self):
        answer = story().start
        self.assertEqual(list(answer.json), ["egressId", "status", "startedAt"])
        self.assertIn(answer.json["status"], ("starting", "active"))

    @promises("JSON is camelCase. Times are ISO 8601 UTC with milliseconds and a `Z` (`2024-04-21T10:00:00.000Z`).")
    def test_times_have_milliseconds_and_a_z(self):
        for time in (story().started_at, story().state["activeAt"], story().state["endedAt"], story().all["createdAt"]):
            self.assertRegex(time, TIME)

    @promises("Egress ids are `EG_` followed by 12 characters of `[A-Za-z0-9]`, from a cryptographic random source.")
    def test_an_id_has_the_documented_form(self):
        ids = [story().id, begun().brief.result()["egressId"], begun().idle.result()["egressId"]]
        for egress_id in ids:
            self.assertRegex(egress_id, ID)
        self.assertEqual(len(set(ids)), 3)

    @promises("Two starts that race make one recording.", "A new recording answers 201, an existing one 200.")
    def test_of_two_starts_at_once_one_makes_the_recording_and_the_other_finds_it(self):
        one, two = story().raced
        self.assertEqual(sorted([one.status, two.status]), [200, 201], f"{one} {two}")
        self.assertEqual(one.json["egressId"], two.json["egressId"])
        self.assertEqual([key for key in story().keys if key.startswith(f"{ROOM}/")], [story().key])

    @promises(
        "on a room that is being recorded it answers with the existing recording's `egressId`, `startedAt` and present "
        "`status` (`starting` or `active`) and starts nothing."
    )
    def test_a_start_of_a_room_that_is_recorded_answers_with_its_recording(self):
        expected = {"egressId": story().id, "status": "active", "startedAt": story().started_at}
        self.assert_json(story().again, 200, expected)

    @promises("start answers at once (it does not wait for media); `startedAt` is the moment it was accepted.")
    def test_a_start_does_not_wait_for_media(self):
        before, accepted = story().before, story().accepted
        started = datetime.datetime.fromisoformat(story().started_at)
        slack = datetime.timedelta(milliseconds=1)
        self.assertTrue(before - slack <= started <= accepted + slack, f"{before} {started} {accepted}")
        self.assertEqual(story().start.json["status"], "starting", "it answers before there is media")
        self.assertLess(story().started_at, story().state["activeAt"])

    @promises("start on a room that LiveKit does not have: 404.")
    def test_a_room_that_livekit_does_not_have_is_not_found(self):
        self.assert_problem(main().api.post(path("nowhere", "/start")), 404)

    @promises("LiveKit unreachable: 503.")
    def test_a_start_without_livekit_is_unavailable(self):
        self.assert_problem(alone().api.post(path("room", "/start")), 503, "LiveKit")

    @promises("No capacity left on any worker: 503 with `Retry-After`.")
    def test_a_start_beyond_what_is_allowed_is_told_when_to_come_again(self):
        refused = begun().killed.result().refused
        self.assert_problem(refused, 503)
        self.assertRegex(refused.headers["Retry-After"], r"^[1-9]\d*$")


class Options(Case):
    OPTIONS = (
        "start may carry a JSON body to customise the recording; every key is optional and an unknown key is a 400 that "
        "names it: `layout` (`grid` default, `speaker`, `single-speaker`, each optionally with `-light`/`-dark`), `fit`, "
        "`width`, `height`, `framerate`, `videoBitrate`, `audioBitrate` (kbit/s), `audioOnly`, `videoOnly`, `filepath` (a "
        "template, see part 3), `maxDurationSeconds`."
    )

    def refusal(self, body):
        return main().api.post(path("options", "/start"), body)

    @promises(OPTIONS)
    def test_an_unknown_key_is_refused_by_its_name(self):
        for key in ("codec", "Layout", "max_duration_seconds", ""):
            self.assert_problem(self.refusal({key: 1}), 400, f'"{key}"')

    @promises(OPTIONS)
    def test_a_value_that_cannot_be_meant_is_refused_by_its_key(self):
        wrong = {
            "layout": ["Grid", "", None, 1, "grid-", "single-speaker-darker"],
            "fit": ["stretch", None, 0],
            "width": [0, 127, 1279.5, "1280", None, True, -2, 1 << 40],
            "height": [0, 721, 1e9, [], {}],
            "framerate": [0, 61, 29.97, "30"],
            "videoBitrate": [0, -1, "3000", 1 << 31],
            "audioBitrate": [0, 1.5, None],
            "audioOnly": ["true", 1, None],
            "videoOnly": ["false", 0, []],
            "filepath": [1, None, {}, "/etc/passwd", "../x.mp4", "{unknown}.mp4"],
            "maxDurationSeconds": [0, -1, 1.5, "60", None, 1 << 33],
        }
        for key, values in wrong.items():
            for value in values:
                with self.subTest(key=key, value=value):
                    self.assert_problem(self.refusal({key: value}), 400, key)

    @promises(OPTIONS)
    def test_a_body_that_is_no_object_is_refused(self):
        for body in ("[]", "null", "1", '"grid"', "{", "{}{}", "\ufeff{}", b"\xff\xfe", b'{"layout":"\xff"}'):
            with self.subTest(body=body):
                self.assert_problem(self.refusal(body), 400)

    @promises(OPTIONS)
    def test_every_layout_can_be_asked_for(self):
        for name in ("grid", "speaker", "single-speaker"):
            for layout in (name, f"{name}-light", f"{name}-dark"):
                # A body is read before LiveKit is asked for the room, so only a room is missing.
                self.assert_problem(self.refusal({"layout": layout, "fit": "cover"}), 404)

    @promises(OPTIONS)
    def test_what_was_asked_for_is_what_is_made(self):
        asked = {"layout": "speaker-light", "fit": "contain", "videoBitrate": 500, "audioBitrate": 64, **SMALL}
        stage().livekit.create("asked")
        egress_id = start(side(), "asked", maxDurationSeconds=1, **asked).json["egressId"]
        options = side().state(egress_id)["options"]
        self.assertEqual(options | asked, options)
        self.assertEqual(side().until_ended(egress_id)["status"], "complete")

    @promises("No body at all means 1280x720, 30 fps, grid, H.264 + AAC in MP4.")
    def test_no_body_means_the_documented_defaults(self):
        # As it was started; the story changes the layout later.
        (listed,) = (entry for entry in story().listed_while_active if entry["egressId"] == story().id)
        expected = {"layout": "grid", "width": 1280, "height": 720, "framerate": 30, "fit": None}
        self.assertEqual(listed["options"] | expected, listed["options"])


class Stopping(Case):
    @promises('| `POST /v1/rooms/{roomId}/recording/stop` | `{"egressId":"EG_abc123","status":"stopping"}` |')
    def test_a_stop_answers_with_the_recording(self):
        answer = story().stops[0]
        self.assert_json(answer, 200, {"egressId": story().id, "status": "stopping"})
        self.assertEqual(list(answer.json), ["egressId", "status"])

    @promises("A second stop while the recording is still being finished answers as the first did.")
    def test_a_second_stop_answers_as_the_first_did(self):
        first, second = story().stops
        self.assertEqual((second.status, second.body), (first.status, first.body))

    @promises("stop with nothing to stop: 404, detail `No active recording for this room`.")
    def test_a_stop_with_nothing_to_stop_is_not_found(self):
        for answer in (story().third_stop, main().api.post(path("nowhere", "/stop"))):
            self.assert_problem(answer, 404)
            self.assertEqual(answer.json["detail"], "No active recording for this room")

    @promises(
        "A recording also ends by itself when the room is closed, or when nobody but hidden participants has been in the "
        "room for the configured idle time, or at its maximum duration."
    )
    def test_a_recording_ends_by_itself(self):
        for name in ("closed", "idle", "brief"):
            state = getattr(begun(), name).result()
            self.assertEqual((state["status"], state["error"]), ("complete", None), name)
            self.assertIn(state["file"], stage().shelf.keys(side()), name)
        self.assertEqual(begun().brief.result()["duration"], BRIEF_S)


class State(Case):
    @promises(
        '| `GET /v1/rooms/{roomId}/recording` while recording | `{"active":true,"egressId":"EG_abc123","startedAt":"2024-04-21T10:00:00.000Z"}` |'
    )
    def test_a_room_that_is_recorded_says_so(self):
        expected = {"active": True, "egressId": story().id, "startedAt": story().started_at}
        self.assert_json(story().shown, 200, expected)
        self.assertEqual(list(story().shown.json), ["active", "egressId", "startedAt"])

    @promises(
        '| `GET /v1/rooms/{roomId}/recording` otherwise | `{"active":false}` and no other key |',
        'After stop, GET answers `{"active":false}` as soon as the recording no longer takes in media.',
    )
    def test_a_room_that_is_not_recorded_says_so_and_nothing_else(self):
        self.assert_json(story().after, 200, {"active": False})
        self.assert_json(main().api.get(path("nowhere")), 200, {"active": False})
        self.assertEqual(main().api.get(path("nowhere")).body, b'{"active":false}')


class RoomIds(Case):
    RULE = (
        "`roomId` is the LiveKit room name, percent-decoded; 1 to 256 bytes of UTF-8, no control characters, and neither "
        "`.` nor `..` nor a `/` (it becomes the first part of an object key)."
    )

    @promises(RULE)
    def test_a_room_name_is_percent_decoded(self):
        stage().livekit.create("Zürich café")
        api = side().api
        started = api.post(path("Z%C3%BCrich%20caf%c3%a9", "/start"), SMALL)
        self.assertEqual(started.status, 201, started)
        self.assertEqual(side().state(started.json["egressId"])["roomId"], "Zürich café")
        self.assertEqual(api.post(path("Z%C3%BCrich%20caf%C3%A9", "/stop")).status, 200)

    @promises(RULE)
    def test_a_name_that_could_be_no_part_of_a_key_is_refused(self):
        names = ["%2e", "%2E%2e", "a%2Fb", "%2f", "a%00b", "%0A", "a%7Fb", "%C2%85", "x" * 257, "%C3%BC" * 129, "%ff", "%c0%af"]
        for name in names:
            for call, method in (("/start", "POST"), ("/stop", "POST"), ("", "GET")):
                with self.subTest(name=name, call=call):
                    self.assert_problem(main().api.call(method, path(name, call)), 400)

    @promises(RULE)
    def test_a_name_may_have_256_bytes(self):
        for name in ("x" * 256, "%C3%BC" * 128):
            self.assert_json(main().api.get(path(name)), 200, {"active": False})
