"""schemathesis against egressd's own description of its API: signed requests, made up from docs/openapi.json.

    python tests/contract/schema.py --egressd target/debug/egressd --requests 5000

No answer may be a 5xx or one that the document does not have: status, content type, headers, body. The service is a real
one beside a real LiveKit and MinIO; there is a room that can be recorded, a recording that has ended, and a webhook, and
some of the made-up names are replaced by theirs (schema_hooks.py). `./dev schema` runs it.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

from scene import SMALL, path
from stage import Stage, temporary_folder

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "openapi.json"
METHODS = {"get", "post", "put", "patch", "delete"}
ROOM = "room-of-the-schema"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
]
# A service that is full says so by a 503, which is no fault of it. Rooms are empty and end by themselves.
SETTINGS = {"RATE_LIMIT_MAX": "10000000", "EGRESSD_IDLE_TIMEOUT_SECONDS": "3", "EGRESSD_MAX_DURATION_SECONDS": "3"}


def known(stage, service):
    """What exists, by the path parameter that names it."""
    stage.livekit.create(ROOM)
    started = service.api.post(path(ROOM, "/start"), SMALL).json
    service.until_ended(started["egressId"])
    webhook = service.api.post("/v1/webhooks", {"url": "https://hooks.example/", "events": ["*"]}).json
    return {"roomId": ROOM, "egressId": started["egressId"], "id": webhook["id"]}


def command(service, requests, seed):
    document = json.loads(DOCUMENT.read_text())
    operations = sum(len(METHODS & item.keys()) for item in document["paths"].values())
    return [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(DOCUMENT), "--url", f"http://127.0.0.1:{service.port}"),
        *("--checks", ",".join(CHECKS), "--max-examples", str(-(-requests // operations))),
        *("--phases", "examples,coverage,fuzzing,stateful", "--seed", str(seed), "--suppress-health-check", "all"),
        *("--request-timeout", "30", "--continue-on-failure", "--no-color"),
    ]


def run(stage, requests, seed):
    service = stage.service("described", **SETTINGS)
    count = stage.folder / "requests"
    environment = {
        **os.environ,
        "PYTHONPATH": str(pathlib.Path(__file__).parent),
        "SCHEMATHESIS_HOOKS": "schema_hooks",
        # Which made-up names are replaced does not change from run to run.
        "PYTHONHASHSEED": str(seed),
        "SCHEMA_KEY": service.key,
        "SCHEMA_SECRET": service.secret,
        "SCHEMA_KNOWN": json.dumps(known(stage, service)),
        "SCHEMA_COUNT": str(count),
    }
    code = subprocess.run(command(service, requests, seed), env=environment, cwd=stage.folder).returncode
    sent = count.stat().st_size
    print(f"{sent} requests")
    return code == 0 and sent >= requests and service.process.runs()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--egressd", required=True, help="the program under test")
    parser.add_argument("--requests", type=int, default=300, help="at least so many")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = temporary_folder()
    stage = Stage("bucket", args.egressd, folder)
    good = run(stage, args.requests, args.seed)
    stage.close()
    if good:
        shutil.rmtree(folder)
    else:
        print(f"logs are in {folder}", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
