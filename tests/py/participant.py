"""Test participants in a LiveKit room, driven by JSON lines on standard input.

Each command has an `id`; exactly one line with the same `id` answers it, with `ok` or `error`:

    {"id": 1, "do": "join", "identity": "ann", "name": "Ann", "publish": {...}}
    {"id": 2, "do": "mute", "identity": "ann"}       (her camera; "unmute" undoes it)
    {"id": 3, "do": "mute_microphone", "identity": "ann"}           (likewise)
    {"id": 4, "do": "resize", "identity": "ann", "width": 360, "height": 640}
    {"id": 5, "do": "rotate", "identity": "ann", "degrees": 90}     (clockwise, by the receiver)
    {"id": 6, "do": "silence", "identity": "ann"}    (a quiet microphone, not a muted one; "speak" undoes it)
    {"id": 7, "do": "share", "identity": "ann", "publish": {...}}   (a screen, without sound; "unshare" ends it)
    {"id": 8, "do": "others", "identity": "ann"}     (whom she sees, and whom she ever saw)
    {"id": 9, "do": "leave", "identity": "ann"}

`publish` says what is sent; what it leaves out is as in DEFAULTS. A join without it only listens. End of input ends
every participant. All of them share one process and one clock: LiveKit's library takes some 100 MB a process.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import os
import sys
import time
import traceback

from livekit import rtc

from encoded import h264_high
from pictures import BLOCK, PICTURES, SAMPLE_RATE, SOUNDS, silence

CODECS = {
    "vp8": rtc.VideoCodec.VP8,
    "vp9": rtc.VideoCodec.VP9,
    "h264": rtc.VideoCodec.H264,
    "av1": rtc.VideoCodec.AV1,
    # Encoded beforehand.
    "h264-high": rtc.VideoCodec.H264,
}
ROTATIONS = {
    0: rtc.VideoRotation.VIDEO_ROTATION_0,
    90: rtc.VideoRotation.VIDEO_ROTATION_90,
    180: rtc.VideoRotation.VIDEO_ROTATION_180,
    270: rtc.VideoRotation.VIDEO_ROTATION_270,
}
DEFAULTS = {
    "mode": "bar",
    "rgb": [0, 0, 0],
    "codec": "vp8",
    "width": 640,
    "height": 360,
    "fps": 30,
    # Of VP8 and H.264, several encodings by themselves; and of VP9 and AV1, one with layers, like "L3T3".
    "simulcast": False,
    "scalability": None,
    "rotation": 0,
    # One frequency a channel; none at all: no microphone.
    "hertz": [400],
    "dtx": False,
    "red": True,
    "video": True,
    "kbps": None,
}
# Noise needs bits, or the encoder blurs it into something easy.
KBPS = {"noise": 3_000}
DEFAULT_KBPS = 600
TOKEN_LIFE_S = 600


def token(key, secret, room, identity, name):
    """An access token (a JWT, HS256) made here, so that the tests depend on no code of egressd."""

    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {
        "iss": key,
        "sub": identity,
        "name": name,
        "nbf": int(time.time()) - 10,
        "exp": int(time.time()) + TOKEN_LIFE_S,
        "video": {"room": room, "roomJoin": True, "canPublish": True, "canSubscribe": True},
    }
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    signed = head + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.new(secret.encode(), signed, hashlib.sha256).digest())).decode()


class Clock:
    """The one clock behind pictures and sound of every participant."""

    def __init__(self):
        self._start = time.monotonic()

    def now(self):
        return time.monotonic() - self._start

    async def until(self, seconds):
        wait = seconds - self.now()
        if wait > 0:
            await asyncio.sleep(wait)


def running(work):
    """A task whose failure ends the process, and with it the test: its picture would only stand still."""

    def ended(task):
        if not task.cancelled() and task.exception() is not None:
            traceback.print_exception(task.exception())
            os._exit(1)

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task


def kbps(spec):
    """The greatest bit rate of a publication: grows with the picture, but more slowly."""
    share = max(1, spec["width"] * spec["height"] / (640 * 360)) ** 0.75
    return spec["kbps"] or int(KBPS.get(spec["mode"], DEFAULT_KBPS) * share)


class Camera:
    """A picture that moves until cancelled; a screen share is one, too."""

    def __init__(self, clock, spec, screen=False):
        self._clock = clock
        self._spec = spec
        self._screen = screen
        self._source = self._open_source()
        self.track = rtc.LocalVideoTrack.create_video_track("screen" if screen else "camera", self._source)
        self._filming = None
        self.rotate(spec["rotation"])
        self.resize(spec["width"], spec["height"])

    def _open_source(self):
        return rtc.VideoSource(self._spec["width"], self._spec["height"], is_screencast=self._screen)

    def resize(self, width, height):
        spec = self._spec
        self._size = (width, height)
        self._pictures = PICTURES[spec["mode"]](width, height, spec["rgb"])

    def rotate(self, degrees):
        self._rotation = ROTATIONS[degrees]

    async def publish(self, participant):
        # The source runs first: libwebrtc offers a track's first frame at once.
        self._filming = running(self._film())
        spec = self._spec
        source = rtc.TrackSource.SOURCE_SCREENSHARE if self._screen else rtc.TrackSource.SOURCE_CAMERA
        options = rtc.TrackPublishOptions(
            source=source,
            video_codec=CODECS[spec["codec"]],
            simulcast=spec["simulcast"],
            video_encoding=rtc.VideoEncoding(max_bitrate=kbps(spec) * 1000, max_framerate=spec["fps"]),
        )
        self._demand(options)
        await participant.publish_track(self.track, options)

    def _demand(self, options):
        if self._spec["scalability"]:
            options.scalability_mode = self._spec["scalability"]

    async def _film(self):
        fps = self._spec["fps"]
        index = int(self._clock.now() * fps) + 1
        while True:
            await self._clock.until(index / fps)
            self._capture(index)
            # After a stall of the machine the missed frames are left out, as a camera does.
            index = max(index + 1, int(self._clock.now() * fps))

    def _capture(self, index):
        picture = self._pictures.at(index / self._spec["fps"], index)
        frame = rtc.VideoFrame(*self._size, rtc.VideoBufferType.I420, picture)
        self._source.capture_frame(frame, rotation=self._rotation)

    def stop(self):
        self._filming.cancel()


class EncodedCamera(Camera):
    """A camera that repeats a second of pictures encoded beforehand, from its start whenever a keyframe is asked for."""

    def resize(self, width, height):
        super().resize(width, height)
        fps = self._spec["fps"]
        pictures = [self._pictures.at(index / fps, index) for index in range(fps)]
        self._frames = h264_high(pictures, width, height, fps, kbps(self._spec))
        self._next = 0

    def _open_source(self):
        return rtc.EncodedVideoSource(self._spec["width"], self._spec["height"])

    def _demand(self, options):
        options.video_encoder = rtc.VideoEncoderBackend.ENCODER_BACKEND_PRE_ENCODED

    def _capture(self, index):
        if self._source.take_feedback().keyframe_requested:
            self._next = 0
        key, delta = rtc.EncodedFrameType.ENCODED_FRAME_KEY, rtc.EncodedFrameType.ENCODED_FRAME_DELTA
        frame = rtc.EncodedVideoFrame(
            self._frames[self._next],
            *self._size,
            rtc.VideoCodec.H264,
            key if self._next == 0 else delta,
            index * 1_000_000 // self._spec["fps"],
        )
        self._source.capture_frame(frame)
        self._next = (self._next + 1) % len(self._frames)


class Microphone:
    """A sound that runs until cancelled."""

    def __init__(self, clock, spec):
        self._clock = clock
        self._spec = spec
        self._channels = len(spec["hertz"])
        self._sound = SOUNDS[spec["mode"]](spec["hertz"])
        # No queue: a block goes to the encoder when it is due, as from a sound card.
        self._source = rtc.AudioSource(SAMPLE_RATE, self._channels, queue_size_ms=0)
        self.track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        self.speaking = True
        self._speaking = None

    async def publish(self, participant):
        self._speaking = running(self._speak())
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=self._spec["dtx"], red=self._spec["red"]
        )
        await participant.publish_track(self.track, options)

    async def _speak(self):
        quiet = silence(self._channels)
        index = int(self._clock.now() * 100) + 1
        while True:
            await self._clock.until(index / 100)
            samples = self._sound.at(index / 100) if self.speaking else quiet
            await self._source.capture_frame(rtc.AudioFrame(samples, SAMPLE_RATE, self._channels, BLOCK))
            index += 1

    def stop(self):
        self._speaking.cancel()


class Member:
    """One participant: connection, what it publishes, whom it has seen."""

    def __init__(self, clock):
        self._clock = clock
        self._room = rtc.Room()
        self._seen = set()
        self.camera = self.microphone = self.screen = None

    async def join(self, url, jwt, publish):
        self._room.on("participant_connected", lambda other: self._seen.add(other.identity))
        # Participants of the tests need not decode one another.
        await self._room.connect(url, jwt, rtc.RoomOptions(auto_subscribe=False))
        self._seen.update(self._room.remote_participants)
        if publish is None:
            return
        spec = DEFAULTS | publish
        if spec["video"]:
            self.camera = (EncodedCamera if spec["codec"] == "h264-high" else Camera)(self._clock, spec)
            await self.camera.publish(self._room.local_participant)
        if spec["hertz"]:
            self.microphone = Microphone(self._clock, spec)
            await self.microphone.publish(self._room.local_participant)

    async def share(self, publish):
        self.screen = Camera(self._clock, DEFAULTS | publish, screen=True)
        await self.screen.publish(self._room.local_participant)

    async def unshare(self):
        await self._room.local_participant.unpublish_track(self.screen.track.sid)
        self.screen.stop()
        self.screen = None

    def others(self):
        return {"present": sorted(self._room.remote_participants), "seen": sorted(self._seen)}

    async def leave(self):
        for sender in (self.camera, self.microphone, self.screen):
            if sender is not None:
                sender.stop()
        await self._room.disconnect()


class Cast:
    """All participants of this process, by identity."""

    def __init__(self, args):
        self._args = args
        self._clock = Clock()
        self._members = {}

    async def carry_out(self, command):
        identity = command["identity"]
        if command["do"] == "join":
            member = Member(self._clock)
            name = command.get("name", "")
            jwt = token(self._args.key, os.environ["LIVEKIT_API_SECRET"], self._args.room, identity, name)
            await member.join(self._args.url, jwt, command.get("publish"))
            self._members[identity] = member
            return {}
        member = self._members[identity]
        match command["do"]:
            case "mute":
                member.camera.track.mute()
            case "unmute":
                member.camera.track.unmute()
            case "mute_microphone":
                member.microphone.track.mute()
            case "unmute_microphone":
                member.microphone.track.unmute()
            case "resize":
                member.camera.resize(command["width"], command["height"])
            case "rotate":
                member.camera.rotate(command["degrees"])
            case "speak":
                member.microphone.speaking = True
            case "silence":
                member.microphone.speaking = False
            case "share":
                await member.share(command["publish"])
            case "unshare":
                await member.unshare()
            case "others":
                return member.others()
            case "leave":
                del self._members[identity]
                await member.leave()
            case unknown:
                raise ValueError(f"unknown command {unknown}")
        return {}

    async def end(self):
        for member in self._members.values():
            await member.leave()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--room", required=True)
    parser.add_argument("--key", required=True, help="its secret is read from LIVEKIT_API_SECRET")
    cast = Cast(parser.parse_args())
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command = json.loads(line)
        try:
            answer = {"id": command["id"], "ok": True, **await cast.carry_out(command)}
        except Exception as error:  # the test that asked decides what an error means
            answer = {"id": command["id"], "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    await cast.end()


if __name__ == "__main__":
    asyncio.run(main())
