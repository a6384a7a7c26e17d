"""A worker that records nothing: it copies a spool that was made before, and behaves as its plan says.

Started as: fake_worker.py PLAN SPOOL. Speaks the protocol of worker/messages.rs.
"""

import json
import os
import shutil
import signal
import sys
import time

plan, source = sys.argv[1:]
spec = json.loads(sys.stdin.readline())
shown = []
token = spec["token"]
assert spec["type"] == "start" and token.count(".") == 2, spec


def tell(**event):
    print(json.dumps(event), flush=True)


def record(length):
    """Writes so much of the spool and says so."""
    with open(source, "rb") as made, open(spec["spool"], "wb") as spool:
        spool.write(made.read(length))
    tell(type="firstMedia")
    tell(type="progress", finalBytes=length, ticks=1)


def go_on():
    """As a successor does: cuts the spool behind what is whole and appends the rest."""
    position = spec["resume"]["position"]
    with open(source, "rb") as made, open(spec["spool"], "r+b") as spool:
        spool.truncate(position["bytes"])
        made.seek(position["bytes"])
        spool.seek(position["bytes"])
        spool.write(made.read())
    tell(type="firstMedia")
    tell(type="progress", finalBytes=whole, ticks=position["ticks"] + 1)


def ended(reason, error=None):
    length = os.path.getsize(spec["spool"]) if os.path.exists(spec["spool"]) else 0
    tell(type="ended", reason=reason, ticks=1, finalBytes=length, error=error)
    sys.exit(1 if error else 0)


def report(message):
    """A quality report with one warning."""
    warning = {"atMs": 0, "track": None, "message": message}
    tell(type="report", report={"warnings": [warning]})


def show(file):
    """What it shows of itself says how often it was asked."""
    shown.append(file)
    if plan == "blind":
        return tell(type="preview", outcome="noFrame" if len(shown) == 1 else {"failed": {"reason": "blind"}})
    with open(file, "w") as picture:
        picture.write("picture {}".format(len(shown)))
    tell(type="preview", outcome="written")


def wait_for_stop():
    """Reports every view that it is told until then."""
    while True:
        command = json.loads(sys.stdin.readline() or "{}")
        if command.get("type") == "view":
            report("{layout} {theme} {fit}".format(**command))
        elif command.get("type") == "token":
            report("another token" if command["token"] != token else "the same token")
        elif command.get("type") == "preview":
            show(command["file"])
        else:
            assert command == {"type": "stop"}, command
            return


whole = os.path.getsize(source)
if plan == "refused":
    ended("failed", "the room refused the token")
tell(type="joined", roomSid="RM_fake", zeroUnixMs=int(time.time() * 1000))
print("a library that prints where it should not", flush=True)
if plan in ("until_stop", "blind"):
    record(whole)
    wait_for_stop()
    ended("stopped")
elif plan == "interrupted":
    record(whole)
    tell(type="reachable", reachable=False)
    tell(type="reachable", reachable=True)
    report("so far")
    wait_for_stop()
    report("whole")
    ended("stopped")
elif plan == "room_closes":
    record(whole)
    ended("roomClosed")
elif plan == "nothing":
    wait_for_stop()
    ended("stopped")
elif plan == "crash":
    if not spec["resume"]:
        # In the middle of the last fragment.
        record(whole - 100)
    os.kill(os.getpid(), signal.SIGKILL)
elif plan in ("crash_once", "freeze_once"):
    if spec["resume"]:
        report("{} after {}".format(spec["resume"]["position"]["ticks"], spec["resume"]["report"]["warnings"][0]["message"]))
        go_on()
        wait_for_stop()
        ended("stopped")
    record(whole - 100)
    report("first")
    while plan == "freeze_once":
        tell(type="progress", finalBytes=whole - 100, ticks=1)
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
elif plan == "go_on":
    if spec["resume"]:
        go_on()
    else:
        record(whole - 100)
    wait_for_stop()
    ended("stopped")
elif plan == "error":
    record(whole)
    ended("failed", "the encoder failed.")
elif plan == "silent":
    record(whole)
    time.sleep(600)
elif plan == "deaf":
    record(whole)
    while True:
        tell(type="progress", finalBytes=whole, ticks=1)
        time.sleep(0.05)
else:
    sys.exit("no such plan: " + plan)
