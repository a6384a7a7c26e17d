"""A recording of many gigabytes on its way from a whole spool into MinIO, as after a restart of the service.

    cargo bench --profile dev --bench finish -- --gib 10 --spool /somewhere/big.mp4
    python benches/store.py --egressd target/debug/egressd --spool /somewhere/big.mp4

The service finds the recording unfinished in its database. Measured from outside:

- seconds from the service's start to the end of the recording, and from the last media part to it;
- the most memory that the service took (PSS, and without mapped files);
- what ffprobe and mp4box.js (which share no code with us) find in the object: durations, samples, whether every byte of the
  `mdat` belongs to one sample, 64-bit chunk offsets; and whether a picture can be decoded at 20 places, each by a
  presigned URL.

The answer is one line of JSON. The spool is linked, not copied: it must be on the file system of `--folder`. It is consumed.
Needs the tests' Python environment and Node packages.
"""

import argparse
import json
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import boto3
from botocore.config import Config

import record

ID = "EG_bigbigbigbig"
KEY = "big/2024-04-21T10-00-00.mp4"
BUCKET = "rtcstack-recordings"
ACCESS_KEY, SECRET_KEY = "bench", "a-bench-secret-of-minio"
LIMIT_S = 3600
PLACES = 20
HEAD_BYTES = 64 << 20
# Parses the head of an object, given on standard input, whose size is the first argument.
PARSER = """
const { createRequire } = require("node:module");
const { createFile } = createRequire(process.env.EGRESSD_NODE_MODULES + "/package.json")("mp4box");
const bytes = require("node:fs").readFileSync(0);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
buffer.fileStart = 0;
const movie = createFile();
movie.appendBuffer(buffer);
const size = Number(process.argv[1]);
const traks = movie.moov.traks;
const ranges = traks.flatMap((trak) => {
  const list = movie.getTrackSamplesInfo(trak.tkhd.track_id);
  return list.map(({ offset, size }) => [offset, size]);
}).sort((a, b) => a[0] - b[0]);
let [place, wrong] = [ranges[0][0], 0];
for (const [offset, length] of ranges) { wrong += Math.abs(offset - place); place = offset + length; }
console.log(JSON.stringify({
  order: movie.boxes.map((box) => box.type),
  samples: traks.map((trak) => movie.getTrackSamplesInfo(trak.tkhd.track_id).length),
  wide: traks.map((trak) => trak.mdia.minf.stbl.co64 !== undefined),
  unaccounted: wrong + Math.abs(size - place),
}));
"""


class Memory(threading.Thread):
    """The most that a process takes, looked at ten times a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.pss, self.own = pid, 0, 0
        self.start()

    def run(self):
        while True:
            try:
                rollup = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
            except OSError:
                return
            found = {name: int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB", rollup, re.M)}
            self.pss = max(self.pss, found.get("Pss", 0))
            self.own = max(self.own, found.get("Pss_Anon", 0))
            time.sleep(0.1)


def settings(folder, minio):
    return {
        "API_HOST": "127.0.0.1", "API_PORT": "0", "API_KEY": "bench", "API_SECRET": "bench",
        # Nobody is asked: the recording takes in nothing more.
        "LIVEKIT_URL_INTERNAL": "ws://127.0.0.1:9", "LIVEKIT_API_KEY": "bench", "LIVEKIT_API_SECRET": "bench",
        "MINIO_ENDPOINT": "127.0.0.1", "MINIO_PORT": str(minio), "MINIO_ACCESS_KEY": ACCESS_KEY,
        "MINIO_SECRET_KEY": SECRET_KEY, "EGRESSD_DATA_DIR": str(folder / "data"), "LOG_LEVEL": "debug",
    }


def listening(log):
    return re.search(rb"listening on http://", log.read_bytes())


def unfinished(folder, spool):
    """As the service would have left it, killed after the worker's last event."""
    database = sqlite3.connect(folder / "data" / "egressd.db")
    with database:
        database.execute(
            "INSERT INTO recordings (egress_id, room, phase, started_at, object_key, verdict) VALUES (?, 'big', 'uploading', ?, ?, ?)",
            (ID, 1713693600000, KEY, '{"asItShould":"stopped"}'),
        )
    database.close()
    os.link(spool, folder / "data" / "spool" / f"{ID}.mp4")
    os.unlink(spool)


def ended(folder):
    with sqlite3.connect(f"file:{folder}/data/egressd.db?mode=ro", uri=True, timeout=30) as database:
        row = database.execute("SELECT phase, size, error FROM recordings WHERE ended_at IS NOT NULL").fetchone()
    database.close()
    return row


def tell_times(log):
    """Seconds from the last media part to the end, by the service's own log."""
    import datetime

    at = lambda line: datetime.datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    parts = [line for line in lines if "part uploaded" in line and json.loads(line).get("part") != 1]
    done = [line for line in lines if "recording complete" in line]
    return {"parts": len(parts) + 1, "lastMediaPartToEndS": round(at(done[-1]) - at(parts[-1]), 2)}


def look(minio, size):
    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{minio}", region_name="us-east-1", aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY}, ExpiresIn=3600)
    head = client.get_object(Bucket=BUCKET, Key=KEY, Range=f"bytes=0-{HEAD_BYTES - 1}")["Body"].read()
    boxes = subprocess.run([os.environ["EGRESSD_NODE"], "-e", PARSER, str(size)], input=head, stdout=subprocess.PIPE, check=True)
    probe = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,duration,nb_frames", "-of", "json", url]
    streams = json.loads(subprocess.run(probe, stdout=subprocess.PIPE, check=True).stdout)["streams"]
    duration = float(streams[0]["duration"])
    seen = sum(one_picture(url, random.uniform(0, duration - 1)) for _ in range(PLACES))
    uploads = client.list_multipart_uploads(Bucket=BUCKET, Prefix=KEY).get("Uploads", [])
    return {"boxes": json.loads(boxes.stdout), "streams": streams, "placesSeen": f"{seen} of {PLACES}", "uploadsLeft": len(uploads)}


def one_picture(url, seconds):
    command = ["ffmpeg", "-v", "error", "-nostdin", "-ss", str(seconds), "-i", url, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    done = subprocess.run(command, capture_output=True)
    return len(done.stdout) == 1280 * 720 and not done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--egressd", required=True)
    parser.add_argument("--spool", required=True, type=pathlib.Path)
    parser.add_argument("--folder", help="where MinIO's disk and the service's are; a temporary one beside the spool by default")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="store-", dir=args.folder or args.spool.parent) as name:
        folder = pathlib.Path(name)
        minio = record.free_port()
        command = [os.environ["EGRESSD_MINIO"], "server", "--quiet", "--address", f"127.0.0.1:{minio}", str(folder / "minio")]
        keys = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
        with record.process("minio", command, folder, keys):
            serve = [args.egressd, "serve"]
            with record.process("first", serve, folder, settings(folder, minio)) as (_, log):
                record.until("the service", lambda: listening(log))
            unfinished(folder, args.spool)
            begin = time.monotonic()
            with record.process("egressd", serve, folder, settings(folder, minio)) as (service, log):
                memory = Memory(service.pid)
                while (row := ended(folder)) is None:
                    assert time.monotonic() - begin < LIMIT_S and service.poll() is None, "the recording does not end"
                    time.sleep(0.05)
                seconds = time.monotonic() - begin
                phase, size, error = row
                answer = {
                    "phase": phase, "error": error, "size": size, "seconds": round(seconds, 1), **tell_times(log),
                    "memoryMiB": memory.pss >> 10, "ownMemoryMiB": memory.own >> 10, **look(minio, size),
                }
    print(json.dumps(answer))


if __name__ == "__main__":
    sys.exit(main())
