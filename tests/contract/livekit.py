"""A real LiveKit server, its rooms, and participants made of LiveKit's own client."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request

from processes import Process, free_port, listens

PARTICIPANT = pathlib.Path(__file__).parent.parent / "py" / "participant.py"
TOKEN_LIFE_S = 600


class LiveKit:
    KEY = "devkey"

    def __init__(self, folder):
        self.secret, self.port, self._folder = secrets.token_hex(24), free_port(), folder
        config = folder / "livekit.yaml"
        config.write_text(
            f"port: {self.port}\nbind_addresses: [127.0.0.1]\n"
            f"rtc: {{tcp_port: {free_port()}, udp_port: {free_port(socket.SOCK_DGRAM)}, use_external_ip: false, "
            f"node_ip: 127.0.0.1, enable_loopback_candidate: true}}\n"
            f"keys: {{{self.KEY}: {self.secret}}}\nlogging: {{level: info}}\n"
        )
        self.process = Process("livekit", [os.environ["EGRESSD_LIVEKIT_SERVER"], "--config", str(config)], folder, os.environ)

    def wait(self):
        self.process.until(lambda: listens(self.port))

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    def create(self, room):
        self._call("CreateRoom", {"roomCreate": True}, {"name": room})
        return room

    def close(self, room):
        """Closes the room and sends everybody away."""
        self._call("DeleteRoom", {"roomCreate": True}, {"room": room})

    def rooms(self):
        return {room["name"]: room for room in self._call("ListRooms", {"roomList": True}, {}).get("rooms", [])}

    def participants(self, room):
        listed = self._call("ListParticipants", {"roomAdmin": True, "room": room}, {"room": room})
        return listed.get("participants", [])

    def _call(self, method, grants, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/twirp/livekit.RoomService/{method}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._token(grants)}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def _token(self, grants):
        """A JWT (RFC 7519), HS256."""

        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        claims = {"iss": self.KEY, "sub": "suite", "exp": int(time.time()) + TOKEN_LIFE_S, "video": grants}
        head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        signed = head + b"." + part(json.dumps(claims).encode())
        return (signed + b"." + part(hmac.new(self.secret.encode(), signed, hashlib.sha256).digest())).decode()


class Cast:
    """Participants of one room, in one process that is told by JSON lines what they do."""

    def __init__(self, livekit, room, folder):
        command = [sys.executable, str(PARTICIPANT), "--url", livekit.url, "--room", room, "--key", livekit.KEY]
        environment = {**os.environ, "LIVEKIT_API_SECRET": livekit.secret}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with open(folder / "participants.log", "ab") as log:
            self._child = subprocess.Popen(command, stderr=log, text=True, env=environment, **pipes)
        self._orders, self._turn = 0, threading.Lock()

    def join(self, identity, **publish):
        self.order("join", identity, publish=publish)

    def order(self, do, identity, **details):
        """Returns once it has been carried out."""
        with self._turn:
            self._orders += 1
            order = {"id": self._orders, "do": do, "identity": identity, **details}
            self._child.stdin.write(json.dumps(order) + "\n")
            self._child.stdin.flush()
            while not (line := self._child.stdout.readline()).startswith("{"):
                assert line, "the participants are gone: participants.log says why"
        answer = json.loads(line)
        assert answer.get("ok"), answer

    def end(self):
        self._child.kill()
        self._child.wait()
