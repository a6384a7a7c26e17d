"""What a flood of signed calls does to a recording, and to the calls, measured from outside.

A room is recorded while callers send signed GETs: for the first half as many as one API key may make, evenly, then as
fast as they can, far beyond what is let in. Printed as one line of JSON:

- of each half: answers by status, and their times (median, p99, the longest), in milliseconds;
- of the recording: frames in the file against those its length asks for, frames that were made in a hurry, and the
  furthest that the making of one was behind; from its own report, and the number of frames once more by ffprobe;
- the service's memory (PSS, and without files) before, and after both halves; the machine's load average.

Callers are processes of their own with open connections. Standard library only, as benches/record.py, whose deployment
this is.
"""

import argparse
import contextlib
import hashlib
import hmac
import http.client
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections import Counter

import record

TARGET = f"/v1/rooms/{record.ROOM}/recording"
EMPTY = hashlib.sha256(b"").hexdigest()


def signed(key, secret):
    timestamp = str(int(time.time()))
    message = "\n".join(["GET", TARGET, timestamp, EMPTY])
    signature = hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
    return {"X-Api-Key": key, "X-RTCstack-Timestamp": timestamp, "X-RTCstack-Signature": signature}


def caller(port, key, secret, pause, seconds, results):
    """One connection; `pause` seconds from call to call, or none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    answers, begin = [], time.monotonic()
    due = begin
    while (now := time.monotonic()) - begin < seconds:
        if now < due:
            time.sleep(due - now)
        due += pause
        headers = signed(key, secret)
        sent = time.monotonic()
        connection.request("GET", TARGET, headers=headers)
        answer = connection.getresponse()
        answer.read()
        answers.append((answer.status, (time.monotonic() - sent) * 1e3))
    results.put(answers)


def flood(api, callers, rate, seconds):
    """What became of the calls of all callers together; `rate` a second, or as many as they can."""
    results = multiprocessing.Queue()
    pause = callers / rate if rate else 0
    arguments = (api.port, api.key, api.secret, pause, seconds, results)
    processes = [multiprocessing.Process(target=caller, args=arguments) for _ in range(callers)]
    for process in processes:
        process.start()
    answers = [answer for _ in processes for answer in results.get()]
    for process in processes:
        process.join()
    times = sorted(time for _, time in answers)
    statuses = Counter(status for status, _ in answers)
    return {
        "calls": len(answers), "perSecond": round(len(answers) / seconds, 1), "statuses": dict(sorted(statuses.items())),
        "medianMs": round(statistics.median(times), 2), "p99Ms": round(times[int(len(times) * 0.99)], 2), "longestMs": round(times[-1], 2),
    }  # fmt: skip


def memory(service):
    return {part: round(record.pss_mib([service.pid], name), 1) for part, name in (("pssMiB", "Pss"), ("ownMiB", "Pss_Anon"))}


def frames_in(file):
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets"]
    answer = subprocess.run([*command, "-of", "csv=p=0", str(file)], check=True, stdout=subprocess.PIPE, text=True)
    return int(answer.stdout)


def measure(args, folder, api, service):
    egress_id = api.call("POST", f"{TARGET}/start")["egressId"]

    def in_state(status):
        state = api.call("GET", f"/v1/recordings/{egress_id}")
        return state if state["status"] == status else None

    record.until("the recording is active", lambda: in_state("active"), 0.2)
    time.sleep(record.WARM_UP_S)
    report = {"memoryBefore": memory(service)}
    report["atTheLimit"] = flood(api, args.callers, args.limit / args.window, args.seconds / 2)
    report["memoryBetween"] = memory(service)
    report["beyondIt"] = flood(api, args.callers, None, args.seconds / 2)
    report["memoryAfter"], report["loadAverage"] = memory(service), os.getloadavg()
    # The flood has used up what the key may call.
    time.sleep(args.window)
    api.call("POST", f"{TARGET}/stop")
    state = record.until("the recording is complete", lambda: in_state("complete"), 0.5)
    file = state["quality"]["file"]
    of_file = {key: file[key] for key in ("durationMs", "videoFrames", "hurriedFrames", "longestDelayMs", "longestFreezeMs", "packetsLost")}
    counted = frames_in(folder / "data" / "recordings" / state["file"])
    return report | {"recording": of_file | {"framesByFfprobe": counted, "framesLost": round(file["durationMs"] * 0.03) - counted}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--egressd", required=True, help="the program, built for release")
    parser.add_argument("--livekit-server", default=os.environ.get("EGRESSD_LIVEKIT_SERVER", "livekit-server"))
    parser.add_argument("--participants", type=int, default=4)
    parser.add_argument("--callers", type=int, default=4, help="connections")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--limit", type=int, default=100, help="RATE_LIMIT_MAX")
    parser.add_argument("--window", type=float, default=1, help="RATE_LIMIT_WINDOW_MS, in seconds")
    args = parser.parse_args()
    settings = {"RATE_LIMIT_MAX": str(args.limit), "RATE_LIMIT_WINDOW_MS": str(round(args.window * 1000))}
    with contextlib.ExitStack() as stack:
        folder, url, secret, api, service = stack.enter_context(record.deployment(args, settings))
        publish = [args.egressd, "publish", "--url", url, "--room", record.ROOM, "--count", str(args.participants)]
        publish += ["--width", "640", "--height", "360", "--api-key", record.LIVEKIT_KEY, "--api-secret", secret]
        _, log = stack.enter_context(record.process("publish", publish, folder))
        record.until("everybody publishes", lambda: "publishing" in log.read_text() or None)
        print(json.dumps(measure(args, folder, api, service)))


if __name__ == "__main__":
    sys.exit(main())
