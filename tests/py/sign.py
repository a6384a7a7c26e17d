"""Signatures of the REST API and of webhooks, written from the contract with Python's own crypto.

The second implementation: the tests compare egressd with this one, never with itself. The key is read
from SIGN_SECRET, the body from standard input; the lower-case hex goes to standard output.

    sign.py request METHOD PATH TIMESTAMP     what a caller of the REST API sends
    sign.py body                              what a receiver of a webhook computes
"""

import hashlib
import hmac
import os
import sys


def hmac_hex(secret, message):
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def request(secret, method, path, timestamp, body):
    digest = hashlib.sha256(body).hexdigest()
    return hmac_hex(secret, "\n".join([method, path, timestamp, digest]).encode())


def main():
    secret = os.environ["SIGN_SECRET"].encode()
    body = sys.stdin.buffer.read()
    if sys.argv[1] == "request":
        print(request(secret, *sys.argv[2:5], body))
    else:
        print(hmac_hex(secret, body))


if __name__ == "__main__":
    main()
