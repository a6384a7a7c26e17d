"""The examples of docs/api.md as programs, taken from the document itself."""

import os
import pathlib
import re
import subprocess
import sys

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "api.md"
# How each language's programs are run, and what their files are called.
RUN = {
    "bash": ("sh", ["bash", "-euo", "pipefail"]),
    "js": ("mjs", [os.environ.get("EGRESSD_NODE", "node")]),
    "python": ("py", [sys.executable]),
}
CALLERS, RECEIVERS = ("curl", "Node", "Python"), ("js", "python")
LIMIT_S = 60


def chapter(heading):
    """The code under a heading of the third level: (language, text)."""
    text = DOCUMENT.read_text().split(f"\n### {heading}\n", 1)[1]
    return re.findall(r"^```(\w+)\n(.*?)^```$", re.split(r"^##+ ", text, flags=re.M)[0], flags=re.M | re.S)


def program(folder, heading, language=None):
    """The command that runs the example, whose file is put into the folder."""
    (found,) = [block for block in chapter(heading) if language in (None, block[0])]
    ending, command = RUN[found[0]]
    file = folder / f"{heading.replace(' ', '-')}.{ending}"
    file.write_text(found[1])
    return [*command, str(file)]


def record(heading, stage, service):
    """What an example prints that records a room of its own, and how it ends."""
    room = f"example of {heading}"
    stage.livekit.create(room)
    own = {"EGRESSD_URL": f"http://127.0.0.1:{service.port}", "API_KEY": service.key, "API_SECRET": service.secret}
    # The shell's example wants it encoded; the others do that by themselves.
    own["ROOM"] = room.replace(" ", "%20") if heading == "curl" else room
    environment = {**os.environ, **own}
    done = subprocess.run(program(stage.folder, heading), env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    (listed,) = service.api.get(f"/v1/recordings?roomId={room.replace(' ', '+')}").json["recordings"]
    return done, listed
