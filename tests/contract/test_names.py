"""Hostile names, in every place that takes one: a name is refused, or it is the right key in the store; never anything else.

Rooms are made in LiveKit under these names, so that what is not refused is recorded for real.
"""

import concurrent.futures
import unicodedata
import urllib.parse

from case import Case
from promise import promises
from scene import SMALL, main, path, side, stage

# Names that are allowed, however odd, and must arrive in the key as they are.
ODD = [
    "...", "%2e%2e%2f%2e%2e", "%252e", "..%2f", "\u2025\uff0f\uff0e\uff0e", "a\u202egnp.4pm", "room.", "room ", " room", "~",
    "-rf", "$(id)", "`id`", "'; DROP TABLE recordings; --", "{egress_id}", "CON", "a:b|c*?<d>\"e", "e\u0301", "\u00e9", "\U0001f3ac" * 4,
    "\ufeffroom", "\u200droom", "a&b=c;d#e?f", "x" * 240,
]  # fmt: skip
# Which MinIO takes for paths, on any system.
REFUSED_BY_MINIO = ["..\\..\\evil"]
# As they are sent in a path; none may be let through.
REFUSED = [
    "%2e", "%2E%2E", ".%2e", "a%2fb", "..%2f..%2fetc%2fpasswd", "%2fetc", "a%00.mp4", "%0d%0aX-Evil:%201", "%7f", "%c2%80", "%C2%9F",
    "%c0%ae%c0%ae", "%e0%80%af", "%ed%a0%80", "%f4%90%80%80", "%ff%fe", "%f0%82%82%ac", "", "x" * 257, "%20" * 257, "x" * 10_240, "%e2%80%ae" * 86,
]  # fmt: skip
CALLS = ("/start", "/stop", "")
# Rooms of other services, and what this suite has put there itself.
OTHERS = ("room-abc", "later", "taken")


def quoted(name):
    return urllib.parse.quote(name, safe="")


def record(room):
    """A recording of a room of that name, from start to end."""
    stage().livekit.create(room)
    started = side().api.post(path(quoted(room), "/start"), SMALL | {"maxDurationSeconds": 1})
    assert started.status == 201, f"{room!r}: {started}"
    return room, side().until_ended(started.json["egressId"])


class Keys(Case):
    @promises("`s3://{MINIO_BUCKET}/{roomId}/{timestamp}.mp4`")
    def test_an_odd_name_is_the_first_part_of_its_key_as_it_is(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            recorded = list(pool.map(record, ODD + REFUSED_BY_MINIO))
        stored = stage().shelf.keys(side())
        for room, state in recorded:
            with self.subTest(room=room):
                self.assertEqual((state["status"], state["roomId"]), ("complete", room), state["error"])
                self.assertEqual(stored.get(state["file"]), state["size"])
                if room not in REFUSED_BY_MINIO or stage().mode == "folder":
                    self.assertEqual(state["file"].rpartition("/")[0], room)
                else:
                    self.assertRegex(state["file"], r"^[^/\\\\]+~[0-9a-f]{8}/[-T\d]+\.mp4$")
        self.assert_nothing_else_is_stored(stored)

    def assert_nothing_else_is_stored(self, stored):
        """Every object is the file of a recording, or was put there by this suite."""
        listed = side().api.get("/v1/recordings?limit=100").json
        self.assertIsNone(listed["nextCursor"])
        files = {entry["file"] for entry in listed["recordings"]}
        for key in stored:
            room, _, name = key.rpartition("/")
            # The start of one says where its file is to be.
            if not key.startswith("placed/"):
                self.assertRegex(name, r"^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(-\d+)?\.mp4$", key)
            self.assertTrue(key in files or room in OTHERS, key)

    @promises("no recording ever overwrites another.")
    def test_names_that_look_alike_are_different_rooms(self):
        alike = ["e\u0301", "\u00e9"]
        self.assertEqual(len({unicodedata.normalize("NFC", name) for name in alike}), 1)
        files = set()
        for name in alike:
            answer = side().api.get(f"/v1/recordings?roomId={quoted(name)}").json["recordings"]
            self.assertEqual([entry["roomId"] for entry in answer], [name])
            files.add(answer[0]["file"])
        self.assertEqual(len(files), 2)

    @promises("1 to 256 bytes of UTF-8,")
    def test_a_name_that_no_store_takes_is_spelled_so_that_it_does(self):
        # As one part of a path, neither a file system nor MinIO takes 256 bytes.
        room = "\u00fc" * 128
        _, state = record(room)
        self.assertEqual((state["status"], state["roomId"]), ("complete", room), state["error"])
        self.assertRegex(state["file"], r"^\u00fc{100}~[0-9a-f]{8}/[-T\d]+\.mp4$")
        self.assertEqual(stage().shelf.keys(side()).get(state["file"]), state["size"])


class Paths(Case):
    @promises("no control characters, and neither `.` nor `..` nor a `/` (it becomes the first part of an object key).")
    def test_a_name_that_could_leave_its_place_is_refused_in_a_path(self):
        for name in REFUSED:
            for call in CALLS:
                with self.subTest(name=name[:40], call=call):
                    answer = main().api.call("POST" if call else "GET", path(name, call))
                    # No name at all is another path; and what is too long for a request is told so.
                    self.assertIn(answer.status, (400, 404) if name == "" else (400, 414), answer)
                    self.assertEqual(answer.headers["Content-Type"], "application/problem+json")

    @promises("neither `.` nor `..` nor a `/`")
    def test_dots_in_a_path_are_not_resolved(self):
        targets = [
            "/v1/rooms/../recording", "/v1/rooms/x/../y/recording", "/v1/rooms/./recording", "/v1/rooms/../../metrics", "/v1/../v1/health",
            "//v1/health", "/v1/rooms/x/recording/../../../health", "/v1/rooms/x;y/recording/..;/start", "/v1/rooms/x\\..\\recording",
        ]  # fmt: skip
        for target in targets:
            with self.subTest(target=target):
                self.assertIn(main().api.get(target).status, (400, 404))

    @promises("1 to 256 bytes of UTF-8,")
    def test_bytes_that_are_no_path_are_refused(self):
        for name in (b"\xff\xfe", b"a\x00b", b"a\tb", b"\xc0\xae"):
            with self.subTest(name=name):
                self.assertEqual(main().api.get(b"/v1/rooms/" + name + b"/recording").status, 400)


class Elsewhere(Case):
    """What is not a room's name in a path."""

    def test_ids_are_taken_as_they_are_or_not_found(self):
        for name in ("..", "%2e%2e", "..%2f..%2fetc", "%00", "%ff", "EG_%2e%2e%2fabcdefgh", "EG_abcdefghijk%EF%BC%AC", "x" * 5000, "%27%20OR%201=1--"):
            for target in (f"/v1/recordings/{name}", f"/v1/recordings/{name}/url", f"/v1/webhooks/{name}"):
                with self.subTest(target=target[:60]):
                    self.assertIn(main().api.get(target).status, (400, 404, 414))

    def test_a_query_is_taken_as_it_is_or_refused(self):
        for name in REFUSED[:-3]:
            with self.subTest(name=name[:40]):
                self.assert_problem(main().api.get(f"/v1/recordings?roomId={name}"), 400)
        for value in ("%27%20OR%201=1--", "%25", "\\", "*", "_"):
            self.assertEqual(main().api.get(f"/v1/recordings?roomId={value}").json["recordings"], [])
        for cursor in ("..", "%00", "x" * 8000, "MTcxMzY5MzYwMDEyMyBFR18uLi8uLi8uLi8uLg", "%F0%9F%8E%AC"):
            self.assertIn(main().api.get(f"/v1/recordings?cursor={cursor}").status, (400, 414))

    def test_strings_in_bodies_are_refused_or_come_back_as_they_were(self):
        for text in ("\0", "\u202e", "x" * 10_240, "../../etc/passwd", "%2e%2e", "\ud83c", "\r\nX-Evil: 1"):
            with self.subTest(text=text[:20]):
                for key in ("layout", "fit", "filepath"):
                    answer = main().api.post(path("nowhere", "/start"), {key: text})
                    # A path that is one may be a template; nobody is in that room.
                    self.assertIn(answer.status, (400, 404))
                self.assert_problem(main().api.post(path("nowhere", "/start"), {text: 1}), 400)
                self.assert_problem(main().api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": [text]}), 400)
                self.assert_problem(main().api.post("/v1/webhooks", {"url": text, "events": ["*"]}), 400)

    def test_an_odd_address_of_a_webhook_is_kept_as_it_is(self):
        for end in ("/%2e%2e/%00", "/?q=%0d%0aX-Evil:1", "/\u202e", "/" + "x" * 2000, "/#fragment"):
            with self.subTest(end=end[:20]):
                url = f"http://127.0.0.1:9{end}"
                made = main().api.post("/v1/webhooks", {"url": url, "events": ["*"]})
                self.assertIn(made.status, (201, 400), made)
                if made.status == 201:
                    self.assertEqual(made.json["url"], url)
                    self.assertEqual(main().api.call("DELETE", f"/v1/webhooks/{made.json['id']}").status, 204)

    def test_odd_headers_are_refused(self):
        odd = ("\0", "\u202e", b"\xff\xfe", "x" * 10_240, "../..", "key\tof")
        for value in odd:
            for header in ("X_Api_Key", "X_RTCstack_Timestamp", "X_RTCstack_Signature"):
                with self.subTest(value=value[:20], header=header):
                    self.assertIn(main().api.get(path("x"), **{header: value}).status, (400, 401, 403, 431))
        for value in odd:
            self.assertIn(main().api.get(path("x"), Origin=value).status, (400, 403, 431))

