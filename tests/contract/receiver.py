"""Receivers of webhooks: each path of one local server answers in its own way and keeps what came."""

import hashlib
import hmac
import http.server
import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass

from processes import until


@dataclass
class Delivery:
    at: float
    headers: dict
    body: bytes
    # What `look` said when it came.
    seen: object = None

    @property
    def json(self):
        return json.loads(self.body)

    def is_signed_with(self, secret):
        digest = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return self.headers["x-rtcstack-webhook-signature"] == f"sha256={digest}"


class Receiver:
    """`answers` of a path are status codes in order, the last one for ever; None does not answer at all."""

    def __init__(self):
        self._inbox, self._answers, self._released = defaultdict(list), {}, threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, path, *answers, headers=None, look=lambda: None):
        """A new address, which answers so; `look` is called when something comes."""
        self._answers[path] = (list(answers) or [204], headers or {}, look)
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def got(self, path, **keys):
        """What came, of those events that have these keys."""
        return [delivery for delivery in self._inbox[path] if keys.items() <= delivery.json.items()]

    def until(self, path, count=1, **keys):
        """The same, once there are so many."""
        until(f"{path} is told of {keys}", lambda: len(self.got(path, **keys)) >= count)
        return self.got(path, **keys)

    def everything(self):
        return [delivery for came in self._inbox.values() for delivery in came]

    def change(self, path, *answers):
        """The address answers so from now on."""
        self._answers[path] = (list(answers), *self._answers[path][1:])

    def _take(self, path, delivery):
        answers, headers, look = self._answers.get(path, ([404], {}, lambda: None))
        delivery.seen = look()
        self._inbox[path].append(delivery)
        return (answers.pop(0) if len(answers) > 1 else answers[0]), headers

    def _handler(receiver):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, extra = receiver._take(self.path, Delivery(time.monotonic(), headers, body))
                if status is None:
                    receiver._released.wait(60)
                    return
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):
                # A redirect that was followed would be one.
                receiver._inbox[self.path].append(Delivery(time.monotonic(), {}, b"{}"))
                self.send_error(404)

            def log_message(self, *_):
                pass

        return Handler
