"""Part 1, the calls beyond the promised three; their details are those of docs/api.md."""

import json
import pathlib
import urllib.error
import urllib.request

from case import Case
from movie import colour, picture_in, same_colour
from processes import until
from promise import promises
from scene import BLUE, RED, ROOM, begun, main, path, side, stage, story

CALLS = "Beyond the promised three calls (additive; same auth):"
NOBODY = "/v1/recordings/EG_abcdefghijkl"
DESCRIPTION = pathlib.Path(__file__).parents[2] / "docs" / "openapi.json"
SEVEN_DAYS_S = 7 * 24 * 60 * 60


class Listing(Case):
    @promises(CALLS, "`GET /v1/recordings` (newest first, `?roomId=&status=&limit=&cursor=`),")
    def test_recordings_are_listed_newest_first_and_page_by_page(self):
        for name in ("brief", "closed", "idle", "taken"):
            getattr(begun(), name).result()
        whole = side().api.get("/v1/recordings?limit=100").json
        self.assertEqual(list(whole), ["recordings", "nextCursor"])
        ids = [entry["egressId"] for entry in whole["recordings"]]
        times = [entry["startedAt"] for entry in whole["recordings"]]
        self.assertGreaterEqual(len(ids), 4)
        self.assertEqual(times, sorted(times, reverse=True))
        self.assertIsNone(whole["nextCursor"])

        paged, query = [], "limit=1"
        while query:
            page = side().api.get(f"/v1/recordings?{query}").json
            self.assertEqual(len(page["recordings"]), 1)
            paged += [entry["egressId"] for entry in page["recordings"]]
            query = page["nextCursor"] and f"limit=1&cursor={page['nextCursor']}"
        self.assertEqual(paged, ids)

    @promises("`GET /v1/recordings` (newest first, `?roomId=&status=&limit=&cursor=`),")
    def test_the_list_is_narrowed_by_room_and_status(self):
        state = begun().brief.result()
        found = side().api.get("/v1/recordings?roomId=brief&status=complete").json["recordings"]
        self.assertEqual([entry["egressId"] for entry in found], [state["egressId"]])
        self.assertEqual(side().api.get("/v1/recordings?roomId=brief&status=failed").json["recordings"], [])
        self.assertEqual(side().api.get("/v1/recordings?roomId=nowhere").json, {"recordings": [], "nextCursor": None})

    @promises("`GET /v1/recordings` (newest first, `?roomId=&status=&limit=&cursor=`),")
    def test_a_query_that_cannot_be_meant_is_refused_by_its_key(self):
        wrong = [
            ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=1&limit=2", "limit"), ("status=done", "status"),
            ("status=", "status"), ("roomId=", "roomId"), ("roomId=a%2Fb", "roomId"), ("roomId=..", "roomId"), ("cursor=", "cursor"),
            ("cursor=x", "cursor"), ("page=2", '"page"'), ("roomid=x", '"roomid"'), ("roomId=%ff", "UTF-8"),
        ]  # fmt: skip
        for query, named in wrong:
            with self.subTest(query=query):
                self.assert_problem(main().api.get(f"/v1/recordings?{query}"), 400, named)


class State(Case):
    FULL = "`GET /v1/recordings/{egressId}` (full state: status, room, times, participants and tracks seen, file, duration, size, error),"

    @promises(FULL)
    def test_all_is_known_of_a_recording_that_has_ended(self):
        state, end = story().state, story().end.json
        expected = {"egressId": story().id, "roomId": ROOM, "status": "complete", "startedAt": story().started_at, "error": None}
        self.assertEqual(state | expected, state)
        self.assertEqual([state[key] for key in ("file", "duration", "size")], [end[key] for key in ("file", "duration", "size")])
        self.assertLess(state["activeAt"], state["endedAt"])
        self.assertEqual([seen["identity"] for seen in state["quality"]["participants"]], ["ann", "bob"])
        tracks = sorted((track["participant"], track["source"]) for track in state["quality"]["tracks"])
        expected = [("ann", "camera"), ("ann", "microphone"), ("bob", "camera"), ("bob", "microphone"), ("bob", "screenShare")]
        self.assertEqual(tracks, expected)

    @promises(FULL)
    def test_a_recording_that_is_not_there_is_not_found(self):
        for egress_id in ("EG_abcdefghijkl", "EG_", "x", "%00", "..%2f..", "EG_abcdefghijk%20", "eg_abcdefghijkl"):
            for call in ("", "/url"):
                with self.subTest(egress_id=egress_id, call=call):
                    self.assert_problem(main().api.get(f"/v1/recordings/{egress_id}{call}"), 404)


class Urls(Case):
    URL = "`GET /v1/recordings/{egressId}/url?expiresIn=3600` (a presigned GET URL of the finished file),"

    @promises(URL)
    def test_the_finished_file_can_be_read_by_anybody_who_has_its_address(self):
        answer = main().api.get(f"/v1/recordings/{story().id}/url?expiresIn=60")
        if stage().mode == "folder":
            self.assert_problem(answer, 404)
            return
        self.assertEqual((answer.status, list(answer.json)), (200, ["url", "expiresAt"]))
        content, headers = fetched(answer.json["url"])
        self.assertEqual(content, story().file.read_bytes())
        self.assertEqual(headers["Content-Type"], "video/mp4")
        part, _ = fetched(answer.json["url"], Range="bytes=4-7")
        self.assertEqual(part, b"ftyp")

    @promises(URL)
    def test_an_address_holds_for_this_file_and_this_time_only(self):
        if stage().mode == "folder":
            return
        url = main().api.get(f"/v1/recordings/{story().id}/url?expiresIn=60").json["url"]
        for spoiled in (url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"), url.replace(".mp4", "-2.mp4"), url.split("?")[0]):
            with self.subTest(url=spoiled), self.assertRaises(urllib.error.HTTPError) as refused:
                fetched(spoiled)
            self.assertEqual(refused.exception.code, 403)

    @promises(URL)
    def test_a_recording_that_is_not_finished_has_no_address_yet(self):
        self.assert_problem(story().url_too_early, 409)

    @promises(URL)
    def test_a_time_that_cannot_be_meant_is_refused(self):
        for query in ("0", "-1", str(SEVEN_DAYS_S + 1), "1h", "", "3600.0"):
            answer = main().api.get(f"/v1/recordings/{story().id}/url?expiresIn={query}")
            self.assert_problem(answer, 400, "expiresIn")


class Changing(Case):
    def test_the_view_of_a_running_recording_can_be_changed(self):
        expected = {"active": True, "egressId": story().id, "startedAt": story().started_at}
        self.assert_json(story().change, 200, expected)
        self.assertEqual(story().state["options"]["layout"], "single-speaker")

    def test_a_change_of_what_is_not_recorded_or_cannot_be_meant_is_refused(self):
        self.assert_problem(main().api.call("PATCH", path("nowhere"), {"layout": "grid"}), 404)
        for body in (b"", {}, {"layout": "x"}, {"width": 640}, []):
            self.assert_problem(main().api.call("PATCH", path("nowhere"), body), 400)


class Previews(Case):
    PREVIEW = "`GET /v1/recordings/{egressId}/preview.jpg` (the latest composed frame while active),"

    @promises(PREVIEW)
    def test_a_preview_shows_what_the_file_has_there(self):
        answer = story().preview
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "image/jpeg"))
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        picture = picture_in(answer.body)
        self.assertEqual(picture.shape, (720, 1280, 3))
        for place, rgb in (((318, 300), RED), ((960, 300), BLUE)):
            self.assertTrue(same_colour(colour(picture, *place), rgb), place)

    @promises(PREVIEW)
    def test_what_is_not_recorded_now_has_no_preview(self):
        self.assert_problem(main().api.get(f"/v1/recordings/{story().id}/preview.jpg"), 409)
        self.assert_problem(main().api.get(f"{NOBODY}/preview.jpg"), 404)


class Looking(Case):
    @promises("`GET /v1/health` (no auth),")
    def test_health_needs_no_key_and_shows_its_components(self):
        # A service that has just been started is still trying its encoders.
        answer = until("the service is well", lambda: well(main().api.open("/v1/health")))
        self.assertEqual(answer.json["status"], "ok", answer)
        self.assertTrue(answer.json["components"])

    @promises("`GET /v1/openapi.json` (no auth),")
    def test_the_description_needs_no_key_and_is_the_one_that_is_published(self):
        answer = main().api.open("/v1/openapi.json")
        self.assert_json(answer, 200, json.loads(DESCRIPTION.read_text()))
        self.assertTrue(answer.json["openapi"].startswith("3.1"))

    @promises("`GET /metrics` (Prometheus; on its own port when one is configured).")
    def test_metrics_are_in_prometheus_format(self):
        answer = main().api.get("/metrics")
        self.assertEqual((answer.status, answer.headers.get_content_type()), (200, "text/plain"))
        lines = [line for line in answer.body.decode().splitlines() if line and not line.startswith("#")]
        values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
        self.assertGreaterEqual(values['egressd_recordings{phase="complete"}'], 1)


def well(answer):
    return answer if answer.status == 200 else None


def fetched(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return answer.read(), answer.headers
