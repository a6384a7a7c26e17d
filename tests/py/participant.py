"""Test participants in a LiveKit room, driven by JSON lines on standard input.

Each command has an `id`; exactly one line with the same `id` answers it, with `ok` or `error`:

    {"id": 1, "do": "join", "identity": "ann", "publish": {"codec": "vp8", "rgb": [200, 0, 0],
        "mode": "bar", "hertz": 400, "width": 640, "height": 360, "fps": 30}}
    {"id": 2, "do": "mute", "identity": "ann"}       (her video; "unmute" undoes it)
    {"id": 3, "do": "others", "identity": "ann"}     (whom she sees, and whom she ever saw)
    {"id": 4, "do": "leave", "identity": "ann"}

A join without `publish` only listens. End of input ends every participant. All of them share one process
and one clock: LiveKit's library takes some 100 MB a process.
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

from livekit import rtc

from pictures import BLOCK, PICTURES, SAMPLE_RATE, SOUNDS

CODECS = {"vp8": rtc.VideoCodec.VP8, "h264": rtc.VideoCodec.H264}
# Noise needs bits, or the encoder blurs it into something easy.
BITRATE = {"noise": 3_000_000}
DEFAULT_BITRATE = 600_000
TOKEN_LIFE_S = 600


def token(key, secret, room, identity):
    """An access token (a JWT, HS256) made here, so that the tests depend on no code of egressd."""

    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {
        "iss": key,
        "sub": identity,
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


class Publisher:
    """A camera and a microphone that run until cancelled."""

    def __init__(self, clock, spec):
        self._clock = clock
        self._spec = {"width": 640, "height": 360, "fps": 30, "mode": "bar", "hertz": 400, "codec": "vp8"} | spec
        width, height, mode = self._spec["width"], self._spec["height"], self._spec["mode"]
        self._pictures = PICTURES[mode](width, height, self._spec.get("rgb", [0, 0, 0]))
        self._sound = SOUNDS[mode](self._spec["hertz"])
        self._video_source = rtc.VideoSource(width, height)
        # No queue: a block goes to the encoder when it is due, as from a sound card.
        self._audio_source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=0)
        self.video = rtc.LocalVideoTrack.create_video_track("camera", self._video_source)
        self._audio = rtc.LocalAudioTrack.create_audio_track("microphone", self._audio_source)
        self._tasks = []

    async def publish(self, participant):
        # The sources run first: libwebrtc offers a track's first frame at once.
        self._tasks = [asyncio.create_task(self._film()), asyncio.create_task(self._speak())]
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=CODECS[self._spec["codec"]],
            simulcast=False,
            video_encoding=rtc.VideoEncoding(
                max_bitrate=BITRATE.get(self._spec["mode"], DEFAULT_BITRATE),
                max_framerate=self._spec["fps"],
            ),
        )
        await participant.publish_track(self.video, options)
        microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=True)
        await participant.publish_track(self._audio, microphone)

    async def _film(self):
        fps, width, height = self._spec["fps"], self._spec["width"], self._spec["height"]
        index = int(self._clock.now() * fps) + 1
        while True:
            await self._clock.until(index / fps)
            picture = self._pictures.at(index / fps, index)
            self._video_source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, picture))
            # After a stall of the machine the missed frames are left out, as a camera does.
            index = max(index + 1, int(self._clock.now() * fps))

    async def _speak(self):
        index = int(self._clock.now() * 100) + 1
        while True:
            await self._clock.until(index / 100)
            block = rtc.AudioFrame(self._sound.at(index / 100), SAMPLE_RATE, 1, BLOCK)
            await self._audio_source.capture_frame(block)
            index += 1

    def stop(self):
        for task in self._tasks:
            task.cancel()


class Member:
    """One participant: connection, what it publishes, whom it has seen."""

    def __init__(self, clock):
        self._clock = clock
        self._room = rtc.Room()
        self._seen = set()
        self._publisher = None

    async def join(self, url, jwt, publish):
        self._room.on("participant_connected", lambda other: self._seen.add(other.identity))
        # Participants of the tests need not decode one another.
        await self._room.connect(url, jwt, rtc.RoomOptions(auto_subscribe=False))
        self._seen.update(self._room.remote_participants)
        if publish is not None:
            self._publisher = Publisher(self._clock, publish)
            await self._publisher.publish(self._room.local_participant)

    def mute(self):
        self._publisher.video.mute()

    def unmute(self):
        self._publisher.video.unmute()

    def others(self):
        return {"present": sorted(self._room.remote_participants), "seen": sorted(self._seen)}

    async def leave(self):
        if self._publisher is not None:
            self._publisher.stop()
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
            jwt = token(self._args.key, os.environ["LIVEKIT_API_SECRET"], self._args.room, identity)
            await member.join(self._args.url, jwt, command.get("publish"))
            self._members[identity] = member
            return {}
        member = self._members[identity]
        match command["do"]:
            case "mute":
                member.mute()
            case "unmute":
                member.unmute()
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
