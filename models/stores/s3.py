"""Scans in S3 and what speaks its protocol (MinIO, Ceph).

botocore finds the credentials and the endpoint (AWS_… variables, ~/.aws, the role of a machine) and signs the request;
`models.stores.http` sends it, with the limits that all scans have.
"""

from __future__ import annotations

import re
import threading
from typing import Any
from urllib.parse import urlsplit

from models.stores import http
from models.stores.deadline import Deadline
from models.stores.errors import StoreUnavailable, UnavailableImage
from schemas.uris import without_credentials

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_SIGNED_FOR_S = 3600
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")
_REGION = "x-amz-bucket-region"


def bucket_name(uri: str) -> str:
    """The store of an s3 uri: its bucket."""
    return f"s3://{urlsplit(uri).netloc}"


class S3:
    """Reads objects. One for all threads. In a uri a key stands as it is, without escapes, as for the aws command."""

    def __init__(self, anonymous: bool) -> None:
        self._anonymous = anonymous
        self._clients: dict[str | None, Any] = {}
        self._regions: dict[str, str] = {}
        self._lock = threading.Lock()

    def read(self, uri: str, max_bytes: int, deadline: Deadline) -> bytes:
        """The bytes of an object. Raises UnavailableImage, StoreUnavailable and DeadlinePassed."""
        store, bucket = bucket_name(uri), urlsplit(uri).netloc
        key = uri.partition("://")[2].partition("/")[2]
        if not _BUCKET.fullmatch(bucket) or not key:
            raise UnavailableImage(f"{without_credentials(uri)} is not of the form s3://bucket/key")
        # The operator's endpoint, whatever its address; a redirect of S3 is to another region of it.
        rules = http.Rules(private_hosts=None, max_bytes=max_bytes)
        answer = self._get(store, bucket, key, rules, deadline)
        region = answer.headers.get(_REGION)
        if answer.status in (301, 307, 400) and region and region != self._regions.get(bucket):
            self._regions[bucket] = region
            answer = self._get(store, bucket, key, rules, deadline)
        if answer.status == 200:
            return answer.body
        match = _CODE.search(answer.body)
        code = match[1].decode() if match else ""
        answer = http.Answer(answer.status, answer.headers, b"", code)
        if code == "NoSuchBucket":
            raise StoreUnavailable(store, "there is no such bucket", "store")
        if code in ("ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"):
            raise StoreUnavailable(store, f"the credentials are refused ({code})", "store")
        raise http.failure(uri, store, answer)

    def _get(self, store: str, bucket: str, key: str, rules: http.Rules, deadline: Deadline) -> http.Answer:
        try:
            return http.get(self._signed(store, bucket, key), rules, deadline)
        except StoreUnavailable as error:
            raise StoreUnavailable(store, f"{error.reason} ({error.store})", error.cause) from error

    def _signed(self, store: str, bucket: str, key: str) -> str:
        from botocore.exceptions import BotoCoreError, NoCredentialsError

        try:
            client = self._client(self._regions.get(bucket))
            url: str = client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=_SIGNED_FOR_S
            )
        except NoCredentialsError as error:
            hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FACESTREAM_STORES__S3_ANONYMOUS=true"
            raise StoreUnavailable(store, f"there are no credentials for S3: {hint}", "store") from error
        except (BotoCoreError, ValueError) as error:
            raise StoreUnavailable(store, f"the request cannot be signed ({type(error).__name__})", "store") from error
        return url

    def _client(self, region: str | None) -> Any:  # noqa: ANN401
        with self._lock:
            if region not in self._clients:
                # Imported here: it takes a third of a second, and few archives are in S3.
                import botocore.session
                from botocore import UNSIGNED
                from botocore.config import Config

                version = UNSIGNED if self._anonymous else "s3v4"
                session = botocore.session.get_session()
                self._clients[region] = session.create_client(
                    "s3",
                    region_name=region or session.get_config_variable("region") or "us-east-1",
                    config=Config(signature_version=version),
                )
            return self._clients[region]
