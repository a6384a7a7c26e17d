"""Where recordings are put, looked at without egressd: a bucket of a real MinIO by AWS's own SDK, or a local folder."""

import os
import pathlib
import secrets
import urllib.request

import boto3
from botocore.config import Config

from processes import Process, free_port, listens

BUCKET = "rtcstack-recordings"


class Bucket:
    """A MinIO with a bucket that egressd makes. An object is read as anybody would: by a presigned URL."""

    mode = "bucket"

    def __init__(self, folder):
        self.access, self.secret, self.port = secrets.token_hex(10), secrets.token_hex(20), free_port()
        self._folder = folder
        keys = {"MINIO_ROOT_USER": self.access, "MINIO_ROOT_PASSWORD": self.secret, "MINIO_BROWSER": "off"}
        command = [os.environ["EGRESSD_MINIO"], "server", "--quiet", "--address", f"127.0.0.1:{self.port}"]
        self.process = Process("minio", [*command, str(folder / "minio")], folder, {**os.environ, **keys})
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        self.s3 = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=self.access,
            aws_secret_access_key=self.secret,
            config=config,
        )

    def wait(self):
        self.process.until(lambda: listens(self.port))

    def settings(self):
        return {
            "MINIO_ENDPOINT": "127.0.0.1",
            "MINIO_PORT": str(self.port),
            "MINIO_USE_SSL": "false",
            "MINIO_ACCESS_KEY": self.access,
            "MINIO_SECRET_KEY": self.secret,
        }

    def secrets(self):
        return {"MinIO's access key": self.access, "MinIO's secret key": self.secret}

    def keys(self, _service=None):
        """All objects of all buckets, with their sizes."""
        found = {}
        for bucket in self.s3.list_buckets()["Buckets"]:
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
                prefix = "" if bucket["Name"] == BUCKET else f"{bucket['Name']}:"
                found |= {prefix + entry["Key"]: entry["Size"] for entry in page.get("Contents", [])}
        return found

    def put(self, key, content, _service):
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)

    def read(self, key, _service):
        """The object and its content type."""
        url = self.s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=60)
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read(), answer.headers["Content-Type"]


class Folder:
    """The folder of a service without any setting about a store; each service has its own."""

    mode = "folder"
    process = None

    def __init__(self, _folder):
        pass

    def wait(self):
        pass

    def settings(self):
        return {}

    def secrets(self):
        return {}

    def keys(self, service):
        """Everything that is in the data folder but for the database and the spool, with its size."""
        root = service.data / "recordings"
        found = {}
        for file in service.data.rglob("*"):
            own = file.parent == service.data or (service.data / "spool") in file.parents
            if file.is_file() and not own:
                inside = root in file.parents
                found[str(file.relative_to(root if inside else service.data))] = file.stat().st_size
        return found

    def put(self, key, content, service):
        file = service.data / "recordings" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def read(self, key, service):
        return pathlib.Path(service.data / "recordings" / key).read_bytes(), None


SHELVES = {shelf.mode: shelf for shelf in (Bucket, Folder)}
