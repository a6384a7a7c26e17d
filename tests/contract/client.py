"""Calls of the recording API, signed as the contract says (part 2) and sent byte by byte as they are given.

Written from the contract; shares nothing with egressd's other tests. A socket of its own for each call, since no HTTP
client sends a path that is wrong on purpose.
"""

import hashlib
import hmac
import http.client
import json
import socket
import time
from dataclasses import dataclass, field

LIMIT_S = 20
_exchanged = []


def transcript():
    """All requests of this process with their answers."""
    return list(_exchanged)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.body[:500]!r}"


@dataclass
class Request:
    """A request that can be spoiled before it is sent; a header that is None is left out."""

    method: str
    target: bytes
    body: bytes
    headers: dict = field(default_factory=dict)

    def bytes(self):
        head = [self.method.encode() + b" " + self.target + b" HTTP/1.1"]
        head += [f"{name}: ".encode() + raw(value) for name, value in self.headers.items() if value is not None]
        return b"\r\n".join(head) + b"\r\n\r\n" + self.body


def raw(text):
    return text if isinstance(text, bytes) else str(text).encode()


def signature(secret, method, target, timestamp, body):
    digest = hashlib.sha256(body).hexdigest().encode()
    message = b"\n".join([raw(method), raw(target), raw(timestamp), digest])
    return hmac.new(raw(secret), message, hashlib.sha256).hexdigest()


class Api:
    def __init__(self, port, key, secret):
        self.port, self.key, self.secret = port, key, secret

    def request(self, method, target, body=b"", at=None, **headers):
        """A signed request; `headers` are added to it, with _ for - in their names."""
        target, timestamp = raw(target), int(time.time()) if at is None else at
        body = json.dumps(body).encode() if isinstance(body, (dict, list)) else raw(body)
        signed = {
            "Host": f"127.0.0.1:{self.port}",
            "Connection": "close",
            "X-Api-Key": self.key,
            "X-RTCstack-Timestamp": timestamp,
            "X-RTCstack-Signature": signature(self.secret, method, target, timestamp, body),
        }
        if body:
            signed |= {"Content-Type": "application/json", "Content-Length": len(body)}
        return Request(method, target, body, signed | {name.replace("_", "-"): value for name, value in headers.items()})

    def send(self, request):
        answer = self.exchange(request.bytes(), request.method)
        _exchanged.append((request, answer))
        return answer

    def exchange(self, data, method="GET"):
        with socket.create_connection(("127.0.0.1", self.port), LIMIT_S) as connection:
            try:
                connection.sendall(data)
            except BrokenPipeError:
                pass  # It may have answered before it was told everything.
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            return Answer(response.status, response.headers, response.read())

    def call(self, method, target, body=b"", **headers):
        return self.send(self.request(method, target, body, **headers))

    def get(self, target, **headers):
        return self.call("GET", target, **headers)

    def post(self, target, body=b"", **headers):
        return self.call("POST", target, body, **headers)

    def open(self, target):
        """A call without any signature."""
        unsigned = {"X_Api_Key": None, "X_RTCstack_Timestamp": None, "X_RTCstack_Signature": None}
        return self.get(target, **unsigned)
