"""Part 3: the finished file, measured with tools that are not egressd's."""

import functools

from case import Case
from movie import boxes, colour, frame_rate, frames, probe, same_colour, tones
from promise import promises
from scene import BLACK, BLUE, GREEN, RED, ROOM, begun, side, stage, story

# A scene is looked for from its begin to a little behind its end: LiveKit and a busy machine may be late with it.
LATE_S = 0.8
LOOKS_PER_S = 5
AUDIBLE_DB = 30
# What the file may be shorter or longer than what was seen of the recording from outside.
SLACK_S = 1.5


@functools.cache
def pictures_of(scene):
    marks = [0, *story().marks.values()]
    end = story().marks[scene]
    start = marks[marks.index(end) - 1]
    return frames(story().file, start, end + LATE_S, LOOKS_PER_S)


class Key(Case):
    @promises(
        "`s3://{MINIO_BUCKET}/{roomId}/{timestamp}.mp4`, timestamp = the recording's `startedAt` in UTC as "
        "`2024-04-21T10-00-00`; the default bucket is `rtcstack-recordings`."
    )
    def test_the_key_is_the_room_and_the_time_of_the_start(self):
        stamp = story().started_at.split(".")[0].replace(":", "-")
        self.assertEqual(story().key, f"{ROOM}/{stamp}.mp4")
        # Whose name begins with a bucket's lies in another one than the default.
        self.assertIn(story().key, story().keys)

    @promises(
        "If that key is already taken (two recordings of one room within one second), `-2`, `-3`... goes before `.mp4`: "
        "no recording ever overwrites another."
    )
    def test_a_key_that_is_taken_is_followed_by_a_numbered_one(self):
        taken = begun().taken.result()
        self.assertRegex(taken.state["file"], r"^taken/[-T\d]+-2\.mp4$")
        stored = stage().shelf.keys(side())
        for key in taken.keys:
            self.assertEqual(stored[key], len(b"somebody else's"), key)
        self.assertEqual(stored[taken.state["file"]], taken.state["size"])

    @promises("`filepath` templates may use `{room_name}`, `{room_id}`, `{egress_id}`, `{time}` and `{utc}`.")
    def test_a_start_may_say_where_its_file_is_to_be(self):
        placed = begun().placed.result()
        state, time = placed.state, placed.state["startedAt"].replace("-", "").replace(":", "")
        # docs/api.md says how both are written.
        day, second, thousandth = time[:8], time[9:15], time[16:19]
        written = f"{day[:4]}-{day[4:6]}-{day[6:]}T{second} {day}{second}{thousandth}"
        self.assertEqual(state["file"], f"placed/placed/{placed.room_id}/{state['egressId']} {written}.mp4")
        self.assertEqual(stage().shelf.keys(side())[state["file"]], state["size"])


class Form(Case):
    FORM = (
        "It is a regular MP4: H.264 (yuv420p) 1280x720 at 30 fps constant, AAC-LC 48 kHz stereo, `moov` in front of the "
        "media (progressive playback starts at once over HTTP), content type `video/mp4`."
    )

    @promises(FORM)
    def test_codecs_and_sizes_are_as_promised(self):
        streams, container, _ = probe(story().file)
        self.assertEqual(sorted(streams), ["audio", "video"])
        video, audio = streams["video"], streams["audio"]
        self.assertEqual([video[k] for k in ("codec_name", "pix_fmt", "width", "height")], ["h264", "yuv420p", 1280, 720])
        self.assertEqual(frame_rate(video), (30, 30))
        self.assertEqual([audio[k] for k in ("codec_name", "profile", "sample_rate", "channels")], ["aac", "LC", "48000", 2])
        duration = float(container["duration"])
        self.assertTrue(story().length - SLACK_S < duration < story().longest + SLACK_S, f"{duration} s")

    @promises(FORM)
    def test_every_frame_is_a_thirtieth_of_a_second_after_the_one_before(self):
        _, _, shown = probe(story().file)
        self.assertEqual(shown[0], 0)
        for number, at in enumerate(shown):
            self.assertAlmostEqual(at, number / 30, delta=0.001)

    @promises(FORM)
    def test_the_index_is_in_front_of_the_media_and_nothing_is_fragmented(self):
        found = boxes(story().file)
        self.assertEqual(found[:2], ["ftyp", "moov"])
        self.assertEqual([box for box in found if box not in ("free", "skip")], ["ftyp", "moov", "mdat"])

    @promises(FORM)
    def test_the_content_type_is_that_of_mp4(self):
        if stage().mode == "bucket":
            self.assertEqual(story().content_type, "video/mp4")

    @promises("`audioOnly`, `videoOnly`, `filepath` (a template, see part 3), `maxDurationSeconds`.")
    def test_sound_alone_or_pictures_alone_are_one_track(self):
        for file, kind in ((begun().sound.result(), "audio"), (begun().pictures.result(), "video")):
            with self.subTest(kind=kind):
                streams, container, _ = probe(file)
                self.assertEqual(list(streams), [kind])
                self.assertGreater(float(container["duration"]), 0.5)
                self.assertEqual([box for box in boxes(file) if box != "free"], ["ftyp", "moov", "mdat"])


class Picture(Case):
    TILED = (
        "All active (published and not muted) video tracks of all participants, cameras and screen shares alike, are tiled; "
        "all audio tracks are mixed;"
    )

    def assert_seen(self, scene, *expected):
        """At some time in the scene all of these places have these colours."""
        seen = [[colour(picture, *place) for place, _ in expected] for picture in pictures_of(scene)]
        wanted = [rgb for _, rgb in expected]
        self.assertTrue(any(all(map(same_colour, colours, wanted)) for colours in seen), f"{scene}: {expected}, but {seen}")

    @promises(TILED, "filled row by row from the left, in order of joining.", "8 px between cells, none around;")
    def test_two_cameras_lie_side_by_side_in_order_of_joining(self):
        # Two columns of (1280 - 8) / 2, one row, and 8 pixels of background from 636 to 644.
        sides = [((10, 300), RED), ((625, 300), RED), ((655, 300), BLUE), ((1270, 300), BLUE)]
        self.assert_seen("both", *sides, ((318, 20), RED), ((960, 20), BLUE), ((640, 300, 2), BLACK))

    @promises("A muted or ended video leaves the grid.", "A landscape camera fills its cell (cropped evenly),")
    def test_who_mutes_his_camera_leaves_the_grid(self):
        self.assert_seen("ann alone", ((20, 20), RED), ((640, 300), RED), ((1260, 400), RED))

    @promises(
        "While a screen share is active, `grid` is shown as `speaker` with the share on the stage.",
        "`speaker`: stage at the right, from x = c + 8 to W, full height, with c = (W - 8)/6; the others in a column of width c "
        "at the left, each c*10/16 high, from the top, without gaps",
    )
    def test_a_shared_screen_has_the_stage(self):
        # c = 212, tiles 132 high; the share is 16:9 on a stage of 1060 by 720, and shown whole.
        column = [((106, 60), RED), ((106, 190), BLUE), ((106, 400), BLACK)]
        self.assert_seen("shared", *column, ((750, 300), GREEN), ((240, 300), GREEN), ((750, 20), BLACK))

    @promises("`single-speaker`: the active speaker alone, full frame.")
    def test_a_single_speaker_has_the_whole_frame(self):
        # Bob is silent.
        self.assert_seen("one", ((20, 20), RED), ((1260, 20), RED), ((640, 300), RED))

    @promises("Without any video the picture is the background and the voices go on.", "Background black, white with `-light`.")
    def test_voices_go_on_without_a_picture(self):
        self.assert_seen("nobody", ((20, 20), BLACK), ((640, 360), BLACK), ((1260, 700), BLACK))
        end = story().marks["nobody"]
        levels = tones(story().file, end - 1.3, end - 0.1, 400, 700)
        self.assertGreater(min(levels.values()), AUDIBLE_DB, levels)

    @promises(TILED)
    def test_all_voices_are_heard(self):
        levels = tones(story().file, story().marks["both"] - 1, story().marks["both"], 400, 700)
        self.assertGreater(min(levels.values()), AUDIBLE_DB, levels)


class Order(Case):
    @promises("The file is complete in the bucket before `egress_ended` is sent.")
    def test_the_file_is_whole_when_its_end_is_told(self):
        self.assertEqual(story().end.seen.get(story().key), story().state["size"])
