"""What the suite runs on: a LiveKit server, a store, and as many egressd services as tests need, each its own process.

Everything is configured by the documented environment variables only, with secrets that are new each time, so that
they can be looked for afterwards.
"""

import atexit
import contextlib
import os
import pathlib
import secrets
import tempfile

from client import Api
from livekit import Cast, LiveKit
from processes import Process, free_port, until
from shelves import SHELVES

# sysexits.h: EX_TEMPFAIL.
LEFT_WORK = 75
# All that a service is to have of whoever runs the suite.
INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "GST_PLUGIN_PATH", "TMPDIR")


class Service:
    """`egressd serve` with a data folder of its own."""

    def __init__(self, name, egressd, folder, settings):
        self.name, self._egressd, self._folder = name, egressd, folder
        self.data = folder / f"{name}-data"
        self.port, self.key, self.secret = free_port(), f"key-of-{name}", secrets.token_hex(20)
        self.environment = {variable: os.environ[variable] for variable in INHERITED if variable in os.environ}
        self.environment |= {
            "API_HOST": "127.0.0.1",
            "API_PORT": str(self.port),
            "API_KEY": self.key,
            "API_SECRET": self.secret,
            "EGRESSD_DATA_DIR": str(self.data),
            # What else runs on the machine is no reason to refuse a recording.
            "EGRESSD_MAX_LOAD_PERCENT": "100000",
            "EGRESSD_MIN_FREE_DISK_MB": "0",
            **settings,
        }
        self.api = Api(self.port, self.key, self.secret)
        self.start()

    def start(self):
        self.process = Process(self.name, [self._egressd, "serve"], self._folder, self.environment)

    def wait(self):
        self.process.until(self._answers)
        return self

    def restart(self):
        """As an upgrade does it. It says by its exit code if it has left something for the next one to do."""
        assert self.process.end() in (0, LEFT_WORK), self.log[-4000:]
        self.start()
        self.wait()

    def _answers(self):
        with contextlib.suppress(OSError):
            return self.api.open("/v1/health").status in (200, 503)
        return False

    @property
    def log(self):
        return self.process.log.read_text(errors="replace")

    def state(self, egress_id):
        answer = self.api.get(f"/v1/recordings/{egress_id}")
        assert answer.status == 200, answer
        return answer.json

    def until_ended(self, egress_id):
        def ended():
            state = self.state(egress_id)
            return state if state["status"] in ("complete", "failed") else None

        return until(f"recording {egress_id} ends", ended)


class Stage:
    """Opened once; everything on it is ended when the process ends."""

    def __init__(self, mode, egressd, folder):
        self.mode, self.egressd, self.folder = mode, egressd, pathlib.Path(folder)
        self._services, self._casts = {}, []
        atexit.register(self.close)
        self.livekit = LiveKit(self.folder)
        self.shelf = SHELVES[mode](self.folder)
        self.livekit.wait()
        self.shelf.wait()

    def service(self, name, **settings):
        """A service on this LiveKit and this store."""
        livekit = {
            "LIVEKIT_URL_INTERNAL": self.livekit.url,
            "LIVEKIT_API_KEY": self.livekit.KEY,
            "LIVEKIT_API_SECRET": self.livekit.secret,
        }
        service = Service(name, self.egressd, self.folder, {**livekit, **self.shelf.settings(), **settings})
        self._services[name] = service
        return service.wait()

    def cast(self, room):
        cast = Cast(self.livekit, room, self.folder)
        self._casts.append(cast)
        return cast

    def services(self):
        return list(self._services.values())

    def secrets(self):
        """By what they are."""
        of_services = {f"the API secret of {service.name}": service.secret for service in self.services()}
        return of_services | {"LiveKit's secret": self.livekit.secret} | self.shelf.secrets()

    def close(self):
        for cast in self._casts:
            cast.end()
        stores = [self.shelf.process] if self.shelf.process else []
        for process in [*(service.process for service in self.services()), self.livekit.process, *stores]:
            if process.runs():
                process.end()
        self._casts, self._services = [], {}


def temporary_folder():
    return tempfile.mkdtemp(prefix="egressd-contract-")
