"""Child processes of the suite, and ports for them. Each is ended by its own id."""

import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

# Far above what anything here takes, so that only what never happens reaches it.
LIMIT_S = 60
# Below those that the kernel gives to whoever asks for any (ip(7), ip_local_port_range): between being found free and
# being taken, no port goes to somebody else. Every run begins elsewhere.
PORTS = range(16_000, 32_000)
_given = itertools.count(os.getpid() * 397)


def free_port(kind=socket.SOCK_STREAM):
    while True:
        port = PORTS[next(_given) % len(PORTS)]
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


def until(what, ready, limit=LIMIT_S, poll=0.05):
    """What `ready` says once it says anything that is true."""
    end = time.monotonic() + limit
    while not (answer := ready()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {limit} s")
        time.sleep(poll)
    return answer


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def children(pid):
    """The processes that `pid` has started and that still run."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in the second field may hold anything (proc(5)).
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return found


@dataclass
class Seen:
    """A process as anybody on the machine sees it."""

    command: bytes
    environment: bytes


def family(pid):
    """A process and all that it has started, itself first."""
    found = []
    for member in [pid, *children(pid)]:
        with contextlib.suppress(OSError):
            folder = pathlib.Path(f"/proc/{member}")
            found.append(Seen((folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()))
    return found


class Process:
    """A child whose output goes to `NAME.log` in `folder`."""

    def __init__(self, name, command, folder, environment, stdin=subprocess.DEVNULL):
        self.log = folder / f"{name}.log"
        with open(self.log, "ab") as output:
            self._child = subprocess.Popen(command, stdin=stdin, stdout=output, stderr=output, env=environment)

    @property
    def pid(self):
        return self._child.pid

    def runs(self):
        return self._child.poll() is None

    def until(self, ready):
        def alive_and_ready():
            assert self.runs(), f"{self.log.stem} has ended:\n{self.log.read_text(errors='replace')[-4000:]}"
            return ready()

        return until(f"{self.log.stem} is ready", alive_and_ready)

    def end(self, patience=20):
        """Asks it to end; its exit code. What it has started and left behind is killed: Node may come in a wrapper."""
        left = children(self.pid)
        self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(patience)
        self._child.kill()
        for child in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return self._child.wait()
