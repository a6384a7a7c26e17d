"""What tests share: the stage, its services, and recordings that were made once and are looked at by many tests.

Recordings take time and the others need not wait: those that most tests do not look at are made beside the one that they do.
"""

import concurrent.futures
import contextlib
import datetime
import functools
import os
import signal
import threading
import time
from types import SimpleNamespace

import examples
from movie import colour, picture_in, same_colour
from processes import children, family, free_port, until
from receiver import Receiver
from stage import Stage

ROOM = "room-abc"
IDLE_S, BRIEF_S = 5, 3
# A recording that only has to exist: as little work as there is.
SMALL = {"width": 128, "height": 128, "framerate": 5}
# A scene of the story lasts until it is seen in the recording's preview, and so long after that.
SETTLED_S = 0.8
SCENE_LIMIT_S = 20
SECOND = "the-secret-of-the-second-key"
SET_SECRET = "a-webhook-secret-of-the-configuration"
# Small: what is looked at is where a picture is, and the machine has the encoders of all of them to bear.
CAMERA = {"width": 320, "height": 180, "fps": 15}
RED, BLUE, GREEN, BLACK = (200, 40, 40), (40, 40, 200), (40, 160, 40), (0, 0, 0)

_opened = SimpleNamespace()


def open_stage(mode, egressd, folder):
    _opened.stage = Stage(mode, egressd, folder)


def stage():
    return _opened.stage


@functools.cache
def receiver():
    return Receiver()


@functools.cache
def main():
    """The service of most tests; it records the story and nothing else."""
    settings = {"RATE_LIMIT_MAX": "100000", "WEBHOOK_ALLOW_PRIVATE": "true"}
    # One webhook that no call has made.
    settings |= {"WEBHOOK_URL": receiver().url("/set"), "WEBHOOK_SECRET": SET_SECRET, "WEBHOOK_EVENTS": "egress_ended"}
    return stage().service("main", **settings)


@functools.cache
def side():
    """The service of all recordings beside it."""
    settings = {"RATE_LIMIT_MAX": "100000", "EGRESSD_IDLE_TIMEOUT_SECONDS": str(IDLE_S)}
    return stage().service("side", **settings)


@functools.cache
def alone():
    """A service as it comes, but for a LiveKit that is not there."""
    return stage().service("alone", LIVEKIT_URL_INTERNAL="ws://127.0.0.1:9")


@functools.cache
def narrow():
    """A service with room for one recording and one origin of pages."""
    settings = {"EGRESSD_MAX_RECORDINGS": "1", "CORS_ORIGINS": "https://app.example", "WEBHOOK_ALLOW_PRIVATE": "true"}
    return stage().service("narrow", **settings)


@functools.cache
def careful():
    """A service with all that is off by default; the second key's secret is `SECOND`, metrics are at `metrics_port`."""
    port = free_port()
    settings = {"EGRESSD_REFUSE_REPLAYS": "true", "EGRESSD_METRICS_LISTEN": f"127.0.0.1:{port}"}
    settings |= {"EGRESSD_API_KEY_2": "second", "EGRESSD_API_SECRET_2": SECOND}
    service = stage().service("careful", **settings)
    service.metrics_port = port
    return service


def path(room, call=""):
    return f"/v1/rooms/{room}/recording{call}"


def now():
    return datetime.datetime.now(datetime.UTC)


def register(service, address, *events, **more):
    answer = service.api.post("/v1/webhooks", {"url": address, "events": list(events), **more})
    assert answer.status == 201, answer
    return answer.json


def start(service, room, **options):
    answer = service.api.post(path(room, "/start"), options or b"")
    assert answer.status == 201, answer
    return answer


@functools.cache
def begun():
    """Sets all recordings going; what each has come to is asked for by name."""
    for shared in (main, side, narrow, receiver):
        shared()
    told = concurrent.futures.ThreadPoolExecutor(1).submit(tell_story)
    # Two at a time: the story is not to suffer.
    pool = concurrent.futures.ThreadPoolExecutor(2)
    sides = {work.__name__: pool.submit(work) for work in (closed, brief, idle, taken, killed, placed, sound, pictures)}
    shown = {heading: pool.submit(examples.record, heading, stage(), side()) for heading in examples.CALLERS}
    return SimpleNamespace(story=told, examples=shown, **sides)


def story():
    return begun().story.result()


def tell_story():
    """A recording with everything in it: two starts at once, pictures that come and go, a stop."""
    s = SimpleNamespace(stage=stage(), service=main(), receiver=receiver(), marks={}, answers={})
    s.cast = s.stage.cast(ROOM)
    s.cast.join("ann", rgb=RED, hertz=[400], **CAMERA)
    s.cast.join("bob", rgb=BLUE, hertz=[700], **CAMERA)
    hear_of(s)
    race(s)
    play(s)
    finish(s)
    return s


def hear_of(s):
    """Webhooks of every kind, before there is anything to tell."""
    address = s.receiver.url
    s.secret = "a-webhook-secret-of-the-contract-suite"
    s.all = register(s.service, address("/all", look=lambda: s.stage.shelf.keys(s.service)), "*", secret=s.secret)
    s.ended = register(s.service, address("/ended"), "egress_ended")
    s.twice = register(s.service, address("/twice", 500, 204), "egress_ended", secret=s.secret)
    s.moved = register(s.service, address("/moved", 302, headers={"Location": "/elsewhere"}), "egress_ended")
    s.hanging = register(s.service, address("/hanging", None, 204), "egress_ended")


def race(s):
    s.before = now()
    request = s.service.api.request("POST", path(ROOM, "/start"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        s.raced = list(pool.map(s.service.api.send, [request, request]))
    s.accepted = now()
    s.start = next((answer for answer in s.raced if answer.status == 201), s.raced[0])
    s.id, s.started_at = s.start.json["egressId"], s.start.json["startedAt"]
    s.again = until("the recording is active", lambda: active(s), poll=0.02)
    s.zero = time.monotonic()
    s.shown = s.service.api.get(path(ROOM))
    s.listed_while_active = s.service.api.get("/v1/recordings?limit=100").json["recordings"]
    s.sharing = s.stage.livekit.rooms()[ROOM]


def active(s):
    answer = s.service.api.post(path(ROOM, "/start"))
    return answer if answer.json["status"] == "active" else None


def play(s):
    def scene(name, **looks):
        # One that is never seen fails the tests that look for it in the file.
        with contextlib.suppress(AssertionError):
            until(name, lambda: is_seen(s, looks), SCENE_LIMIT_S, poll=0.3)
        time.sleep(SETTLED_S)
        s.marks[name] = time.monotonic() - s.zero

    scene("both", left=((318, 300), RED), right=((960, 300), BLUE))
    s.preview = until("there is a preview", lambda: preview(s))
    s.processes = family(s.service.process.pid)
    s.spool = b"".join(file.read_bytes() for file in (s.service.data / "spool").iterdir())
    s.cast.order("mute", "bob")
    scene("ann alone", left=((20, 300), RED), right=((1260, 300), RED))
    s.cast.order("unmute", "bob")
    s.cast.order("share", "bob", publish={"rgb": GREEN, **CAMERA})
    scene("shared", first=((106, 60), RED), second=((106, 190), BLUE), stage=((750, 300), GREEN))
    s.cast.order("unshare", "bob")
    s.cast.order("silence", "bob")
    s.change = s.service.api.call("PATCH", path(ROOM), {"layout": "single-speaker"})
    scene("one", left=((20, 300), RED), right=((1260, 300), RED))
    s.cast.order("speak", "bob")
    s.cast.order("mute", "ann")
    s.cast.order("mute", "bob")
    scene("nobody", left=((20, 300), BLACK), right=((1260, 300), BLACK))


def preview(s):
    answer = s.service.api.get(f"/v1/recordings/{s.id}/preview.jpg")
    return answer if answer.status == 200 else None


def is_seen(s, looks):
    answer = preview(s)
    picture = answer and picture_in(answer.body)
    return answer and all(same_colour(colour(picture, *place), rgb) for place, rgb in looks.values())


def finish(s):
    s.url_too_early = s.service.api.get(f"/v1/recordings/{s.id}/url")
    s.stops = [s.service.api.post(path(ROOM, "/stop")), s.service.api.post(path(ROOM, "/stop"))]
    s.length = time.monotonic() - s.zero
    s.after = until("GET answers inactive", lambda: inactive(s))
    s.state = s.service.until_ended(s.id)
    s.third_stop = s.service.api.post(path(ROOM, "/stop"))
    s.longest = time.monotonic() - s.zero
    (s.end,) = s.receiver.until("/all", event="egress_ended")
    s.keys = s.stage.shelf.keys(s.service)
    s.key = s.state["file"]
    s.file = s.stage.folder / "story.mp4"
    content, s.content_type = s.stage.shelf.read(s.key, s.service)
    s.file.write_bytes(content)
    s.cast.end()


def inactive(s):
    answer = s.service.api.get(path(ROOM))
    return answer if answer.json["active"] is False else None


def small(room, service=None, **options):
    """The id of a small recording of a room that nobody is in."""
    stage().livekit.create(room)
    return start(service or side(), room, **SMALL, **options).json["egressId"]


def closed():
    egress_id = small("closed")

    def has_media():
        upload = side().state(egress_id)["upload"]
        return upload["storedBytes"] + upload["waitingBytes"]

    until("something has been recorded", has_media)
    stage().livekit.close("closed")
    return side().until_ended(egress_id)


def brief():
    return side().until_ended(small("brief", maxDurationSeconds=BRIEF_S))


def idle():
    return side().until_ended(small("idle"))


def taken():
    """A recording whose key is taken, whichever second it starts in."""
    stage().livekit.create("taken")
    seconds = [now() + datetime.timedelta(seconds=after) for after in range(-1, 20)]
    keys = [f"taken/{second:%Y-%m-%dT%H-%M-%S}.mp4" for second in seconds]
    for key in keys:
        stage().shelf.put(key, b"somebody else's", side())
    return SimpleNamespace(state=side().until_ended(small("taken", maxDurationSeconds=1)), keys=keys)


def placed():
    """A recording whose start says where its file is to be."""
    template = "placed/{room_name}/{room_id}/{egress_id} {time} {utc}"
    state = side().until_ended(small("placed", filepath=template, maxDurationSeconds=1))
    return SimpleNamespace(state=state, room_id=stage().livekit.rooms()["placed"]["sid"])


def sound():
    answer = start(side(), stage().livekit.create("sound"), audioOnly=True, maxDurationSeconds=1)
    return fetched(side().until_ended(answer.json["egressId"]))


def pictures():
    return fetched(side().until_ended(small("pictures", videoOnly=True, maxDurationSeconds=1)))


def fetched(state):
    file = stage().folder / f"{state['roomId']}.mp4"
    file.write_bytes(stage().shelf.read(state["file"], side())[0])
    return file


def killed():
    """A recording whose workers die before there is anything to save; and a start that has no room beside it."""
    service, rooms = narrow(), [stage().livekit.create(room) for room in ("killed", "no-room")]
    register(service, receiver().url("/killed"), "egress_ended")
    with reaper(service):
        egress_id = start(service, rooms[0], **SMALL).json["egressId"]
        refused = service.api.post(path(rooms[1], "/start"))
        state = service.until_ended(egress_id)
    return SimpleNamespace(state=state, refused=refused, events=receiver().until("/killed", event="egress_ended"))


@contextlib.contextmanager
def reaper(service):
    """Kills every child of a service as soon as it is there."""
    over = threading.Event()

    def reap():
        while not over.wait(0.005):
            for child in children(service.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    thread = threading.Thread(target=reap, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
