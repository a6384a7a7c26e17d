"""What lies in the bucket, asked with boto3: an S3 client that is not the one under test.

    bucket.py ENDPOINT BUCKET ls                 {"key": size, ...}
    bucket.py ENDPOINT BUCKET head KEY           {"size": ..., "contentType": ...}
    bucket.py ENDPOINT BUCKET parts KEY          sizes of the parts of the unfinished upload of KEY
    bucket.py ENDPOINT BUCKET get KEY FILE       through a presigned URL, without credentials

Keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; every answer is one line of JSON.
"""

import json
import shutil
import sys
import urllib.request

import boto3
from botocore.config import Config


def unfinished_parts(s3, bucket, key):
    # MinIO lists the uploads of an exact key only; a shorter prefix finds none.
    uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix=key).get("Uploads", [])
    return [
        part["Size"]
        for upload in uploads
        for part in s3.list_parts(Bucket=bucket, Key=key, UploadId=upload["UploadId"]).get("Parts", [])
    ]


def download(s3, bucket, key, target):
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=60)
    with urllib.request.urlopen(url, timeout=30) as response, open(target, "wb") as file:
        shutil.copyfileobj(response, file)
        return {"contentType": response.headers["Content-Type"]}


def main():
    endpoint, bucket, what, *rest = sys.argv[1:]
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)
    match what:
        case "ls":
            objects = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
            answer = {entry["Key"]: entry["Size"] for entry in objects}
        case "head":
            head = s3.head_object(Bucket=bucket, Key=rest[0])
            answer = {"size": head["ContentLength"], "contentType": head["ContentType"]}
        case "parts":
            answer = unfinished_parts(s3, bucket, rest[0])
        case "get":
            answer = download(s3, bucket, *rest)
        case unknown:
            sys.exit(f"unknown command {unknown}")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
