"""What recording costs and how fast it reacts, measured from outside on a real LiveKit server.

For 1, 4 and 9 participants (640x360 VP8, published from clips encoded beforehand by `egressd publish`) it
records into a local folder and takes:

- CPU: utime+stime of the service and its worker per second of steady state, from /proc/PID/stat;
- memory: the highest sum of PSS (shared pages counted once), from /proc/PID/smaps_rollup;
- start to active: from sending start until its answer says `active`;
- stop to file: from sending stop until the file has its name.

Each is run several times and the least of each figure is printed: everything else that the machine does
only adds. The table goes to standard output as Markdown, progress to standard error. Standard library only.
"""

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

LIVEKIT_KEY = "devkey"
ROOM = "bench"
# Decoders start, sender reports arrive and the layout settles: none of it is steady state.
WARM_UP_S = 5
LIMIT_S = 60
POLL_S = 0.005
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, ready, poll=0.05):
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if (answer := ready()) is not None:
            return answer
        time.sleep(poll)
    raise TimeoutError(f"{what}: not within {LIMIT_S} s")


@contextlib.contextmanager
def process(name, command, folder, environment=None):
    """A child with its output in a log, asked to end and then made to."""
    log = folder / f"{name}.log"
    with open(log, "wb") as output:
        child = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
        )
    try:
        yield child, log
    except BaseException:
        print(f"---- {log} ----\n{log.read_text(errors='replace')[-4000:]}", file=sys.stderr)
        raise
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Api:
    """Signed calls of the REST API."""

    def __init__(self):
        self.port, self.key, self.secret = free_port(), "bench", secrets.token_hex(16)

    def call(self, method, path, signed=True):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        if signed:
            timestamp = str(int(time.time()))
            message = "\n".join([method, path, timestamp, hashlib.sha256(b"").hexdigest()])
            request.add_header("X-Api-Key", self.key)
            request.add_header("X-RTCstack-Timestamp", timestamp)
            request.add_header(
                "X-RTCstack-Signature", hmac.new(self.secret.encode(), message.encode(), hashlib.sha256).hexdigest()
            )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def healthy(self):
        with contextlib.suppress(OSError):
            return self.call("GET", "/v1/health", signed=False) or True
        return None


def livekit(args, folder):
    port, secret = free_port(), secrets.token_hex(20)
    config = folder / "livekit.yaml"
    config.write_text(
        f"port: {port}\nbind_addresses: [127.0.0.1]\n"
        f"rtc: {{tcp_port: {free_port()}, udp_port: {free_port(socket.SOCK_DGRAM)}, use_external_ip: false, "
        f"node_ip: 127.0.0.1, enable_loopback_candidate: true}}\nkeys: {{{LIVEKIT_KEY}: {secret}}}\n"
    )
    return port, secret, [args.livekit_server, "--config", str(config)]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return None


def family(pid):
    """A process and its children."""
    children = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.name.isdigit() and int(stat(int(entry.name))[1]) == pid:
                children.append(int(entry.name))
    return [pid, *children]


def stat(pid):
    """The fields of /proc/PID/stat after the name, which may hold anything (proc(5))."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu_seconds(pids):
    return sum(int(field) for pid in pids for field in stat(pid)[11:13]) / TICKS_PER_S


def pss_mib(pids, part="Pss"):
    """The sum of `part`; `Pss_Anon` leaves out files, whose share depends on who else has mapped them."""
    total = 0
    for pid in pids:
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(next(line.split()[1] for line in rollup.splitlines() if line.startswith(f"{part}:")))
    return total / 1024


def record(api, service, folder, seconds):
    path = f"/v1/rooms/{ROOM}/recording"

    def active():
        answer = api.call("POST", f"{path}/start")
        return answer if answer["status"] == "active" else None

    begin = time.monotonic()
    started = until("the recording becomes active", active, POLL_S)
    active_after = time.monotonic() - begin
    time.sleep(WARM_UP_S)

    pids = family(service.pid)
    assert len(pids) > 1, "the recording has no worker"
    cpu, since, pss = cpu_seconds(pids), time.monotonic(), 0.0
    while time.monotonic() - since < seconds:
        pss = max(pss, pss_mib(pids))
        time.sleep(1)
    cpu_per_s = (cpu_seconds(pids) - cpu) / (time.monotonic() - since)

    name = started["startedAt"].split(".")[0].replace(":", "-")
    file = folder / "data" / "recordings" / ROOM / f"{name}.mp4"
    begin = time.monotonic()
    api.call("POST", f"{path}/stop")
    until(f"{file} is there", lambda: file.exists() or None, POLL_S)
    return {"cpu": cpu_per_s, "pss": pss, "active": active_after, "file": time.monotonic() - begin}


@contextlib.contextmanager
def deployment(args, settings=None):
    """A LiveKit server and a service beside it: (folder, URL and secret of LiveKit, API, service's process). `settings` are
    those of the service that are not the usual ones."""
    with tempfile.TemporaryDirectory(prefix="egressd-bench-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        port, secret, command = livekit(args, folder)
        url = f"ws://127.0.0.1:{port}"
        stack.enter_context(process("livekit", command, folder))
        until("LiveKit answers", lambda: answers(port))
        api = Api()
        environment = {
            "API_HOST": "127.0.0.1", "API_PORT": str(api.port), "API_KEY": api.key, "API_SECRET": api.secret,
            "LIVEKIT_URL_INTERNAL": url, "LIVEKIT_API_KEY": LIVEKIT_KEY, "LIVEKIT_API_SECRET": secret,
            "EGRESSD_DATA_DIR": str(folder / "data"), "RATE_LIMIT_MAX": "100000", "LOG_LEVEL": "info",
            **(settings or {}),
        }  # fmt: skip
        service, _ = stack.enter_context(process("egressd", [args.egressd, "serve"], folder, environment))
        until("egressd answers", api.healthy)
        yield folder, url, secret, api, service


def run(args, count):
    """One deployment, one recording, its four figures."""
    with contextlib.ExitStack() as stack:
        folder, url, secret, api, service = stack.enter_context(deployment(args))
        publish = [args.egressd, "publish", "--url", url, "--room", ROOM, "--count", str(count)]
        publish += ["--width", "640", "--height", "360", "--api-key", LIVEKIT_KEY, "--api-secret", secret]
        _, log = stack.enter_context(process("publish", publish, folder))
        until("everybody publishes", lambda: "publishing" in log.read_text() or None)
        return record(api, service, folder, args.seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--egressd", required=True, help="the program, built for release")
    parser.add_argument("--livekit-server", default=os.environ.get("EGRESSD_LIVEKIT_SERVER", "livekit-server"))
    parser.add_argument("--participants", type=int, nargs="+", default=[1, 4, 9])
    parser.add_argument("--seconds", type=int, default=20, help="of steady state in each run")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    print("| participants | CPU-s per s | memory, PSS | start to active | stop to file |")
    print("|---|---|---|---|---|", flush=True)
    for count in args.participants:
        runs = []
        for number in range(args.runs):
            runs.append(run(args, count))
            figures = ", ".join(f"{name} {value:.3f}" for name, value in runs[-1].items())
            print(f"{count} participants, run {number + 1} of {args.runs}: {figures}", file=sys.stderr)
        least = {name: min(figures[name] for figures in runs) for name in runs[0]}
        print(
            f"| {count} | {least['cpu']:.3f} | {least['pss']:.0f} MiB | {least['active']:.2f} s | {least['file']:.2f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
