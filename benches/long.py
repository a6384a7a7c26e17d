"""One real recording of many minutes: whether lips still match voices at its end, and whether memory stays flat.

A participant made of LiveKit's own client flashes and beeps once a second, another moves and hums, and the service
records them into a local folder. Measured from outside:

- the offset of beep against flash over the file's first and last two minutes (median of each);
- the PSS of service and worker every five seconds: how much its median over the last two minutes is above that of
  the minute after the first two; also without mapped files, whose share depends on what else runs.

The answer is one line of JSON on standard output, progress goes to standard error. Needs the tests' Python environment.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import record

TESTS = pathlib.Path(__file__).parent.parent / "tests" / "py"
SAMPLE_S = 5
# Decoders, encoder and spool have their final size by then.
SETTLED_S = 120
WINDOW_S = 120
CAST = {
    "metronome": {"mode": "flash"},
    "mover": {"mode": "bar", "rgb": [40, 160, 60], "hertz": [400]},
}


class Cast:
    """tests/py/participant.py, told by JSON lines who joins."""

    def __init__(self, url, room, secret):
        command = [sys.executable, str(TESTS / "participant.py"), "--url", url, "--room", room, "--key", record.LIVEKIT_KEY]
        environment = {**os.environ, "LIVEKIT_API_SECRET": secret}
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def join(self, number, identity, publish):
        order = {"id": number, "do": "join", "identity": identity, "name": identity, "publish": publish}
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()
        while not (line := self._child.stdout.readline()).startswith("{"):
            assert line, "the participants are gone"
        assert json.loads(line).get("ok"), line

    def end(self):
        self._child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(20)
        self._child.kill()
        self._child.wait()


def watch(pids, seconds):
    """(time, MiB, MiB that are of no file) of all processes together."""
    begin, samples = time.monotonic(), []
    while (now := time.monotonic() - begin) < seconds:
        samples.append((now, record.pss_mib(pids), record.pss_mib(pids, "Pss_Anon")))
        if len(samples) % 12 == 1:
            print("{:.0f} s: {:.1f} MiB, {:.1f} of them of no file".format(*samples[-1]), file=sys.stderr, flush=True)
        time.sleep(SAMPLE_S)
    return samples


def median(samples, start, end, column=1):
    return statistics.median(sample[column] for sample in samples if start <= sample[0] < end)


def offsets(file):
    """(time, seconds by which the beep is later) of each flash that has its beep."""
    answer = subprocess.run([sys.executable, str(TESTS / "measure.py"), "flashes", str(file)], check=True, stdout=subprocess.PIPE)
    measured = json.loads(answer.stdout)
    return measured["flashes"], [(at, off) for at, off in zip(measured["times"], measured["offsets"]) if off is not None]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--egressd", required=True)
    parser.add_argument("--livekit-server", default=os.environ.get("EGRESSD_LIVEKIT_SERVER", "livekit-server"))
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--keep", help="copy the recording to this file")
    args = parser.parse_args()
    seconds = args.minutes * 60
    assert seconds >= SETTLED_S + WINDOW_S + 60, "five minutes at least"
    with record.deployment(args) as (folder, url, secret, api, service):
        cast = Cast(url, record.ROOM, secret)
        try:
            for number, (identity, publish) in enumerate(CAST.items(), 1):
                cast.join(number, identity, publish)
            path = f"/v1/rooms/{record.ROOM}/recording"
            egress_id = api.call("POST", f"{path}/start")["egressId"]
            state = lambda: api.call("GET", f"/v1/recordings/{egress_id}")
            record.until("the recording is active", lambda: state()["status"] == "active" or None)
            pids = record.family(service.pid)
            assert len(pids) > 1, "the recording has no worker"
            memory = watch(pids, seconds)
            cpu = record.cpu_seconds(pids) / seconds
            api.call("POST", f"{path}/stop")
            record.until("the recording is complete", lambda: state()["status"] == "complete" or None)
        finally:
            cast.end()
        file = next((folder / "data" / "recordings" / record.ROOM).glob("*.mp4"))
        if args.keep:
            shutil.copy(file, args.keep)
        quality = state()["quality"]
        flashes, pairs = offsets(file)
    first = median(pairs, 0, WINDOW_S)
    last = median(pairs, seconds - WINDOW_S, seconds + 60)
    settled, own_settled = (median(memory, SETTLED_S, SETTLED_S + 60, column) for column in (1, 2))
    end, own_end = (median(memory, seconds - WINDOW_S, seconds, column) for column in (1, 2))
    print(json.dumps({
        "minutes": args.minutes, "flashes": flashes, "pairs": len(pairs),
        "offsetFirstMs": round(first * 1e3, 1), "offsetLastMs": round(last * 1e3, 1),
        "worstMs": round(max((abs(off) for _, off in pairs)) * 1e3, 1),
        "pssSettledMiB": round(settled, 1), "pssEndMiB": round(end, 1), "pssGrowthMiB": round(end - settled, 1),
        "ownSettledMiB": round(own_settled, 1), "ownEndMiB": round(own_end, 1), "ownGrowthMiB": round(own_end - own_settled, 1),
        "cpuPerSecond": round(cpu, 3), "file": quality["file"], "warnings": quality["warnings"],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
