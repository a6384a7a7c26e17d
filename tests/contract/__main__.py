"""The contract as its users would test it, against a real egressd beside a real LiveKit server and a real MinIO.

    python tests/contract --egressd target/debug/egressd --mode bucket
    python tests/contract --egressd target/debug/egressd --mode folder test_webhooks test_file.Form

`--mode` says where recordings go. Without names every test is run. EGRESSD_LIVEKIT_SERVER and EGRESSD_MINIO name the
servers' programs (`./dev contract` sets them). A failure ends with the sentence of `contract.md` that is broken; logs
and files of a run that failed are kept.
"""

import argparse
import shutil
import signal
import sys
import unittest

import scene
from stage import temporary_folder

# In this order: what everything needs, what only looks, what disturbs others, what looks back on all of it.
MODULES = [
    "test_recording",
    "test_authentication",
    "test_file",
    "test_webhooks",
    "test_configuration",
    "test_calls",
    "test_examples",
    "test_names",
    "test_commands",
    "test_secrets",
    "test_whole",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--egressd", required=True, help="the program under test")
    parser.add_argument("--mode", choices=("bucket", "folder"), default="bucket")
    parser.add_argument("--folder", help="for logs and files; kept")
    parser.add_argument("--failfast", action="store_true", help="stop at the first failure")
    parser.add_argument("tests", nargs="*", help="modules, classes or tests")
    args = parser.parse_args()

    # Whoever ends the suite ends what it has started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = args.folder or temporary_folder()
    scene.open_stage(args.mode, args.egressd, folder)
    suite = unittest.defaultTestLoader.loadTestsFromNames(args.tests or MODULES)
    outcome = unittest.TextTestRunner(verbosity=2, failfast=args.failfast).run(suite)
    scene.stage().close()
    if outcome.wasSuccessful() and not args.folder:
        shutil.rmtree(folder)
    else:
        print(f"logs and files are in {folder}", file=sys.stderr)
    return 0 if outcome.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
