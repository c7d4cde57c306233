"""A real S3 server for tests: started here on this machine, or one that is running already.

`HOLDFAST_TEST_S3_ENDPOINT`, with `HOLDFAST_TEST_S3_KEY` and `HOLDFAST_TEST_S3_SECRET`, names another one, such as the
Ceph gateway of `scripts/ceph-rgw`.
"""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.patience import PATIENCE_SECONDS

_PORTS_TRIED_MAX = 5


@dataclass(frozen=True)
class S3Server:
    """A server that speaks like S3, and the keys to it."""

    endpoint: str
    key: str
    secret: str

    def bucket(self) -> str:
        """A new bucket's name."""
        name = f"test-{uuid.uuid4().hex[:20]}"
        self._client().create_bucket(Bucket=name)
        return name

    def storage_class(self, bucket: str, key: str) -> str:
        """What the server says of a file."""
        found = self._client().head_object(Bucket=bucket, Key=key).get("StorageClass", "STANDARD")
        return str(found)

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def use(self, patch: pytest.MonkeyPatch) -> None:
        """Have this process, and those it starts, use the server."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", self.endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", self.key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", self.secret)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """The server while this lasts; one that was started here is ended by its process id."""
    running = os.environ.get("HOLDFAST_TEST_S3_ENDPOINT")
    if running:
        key, secret = (os.environ.get(f"HOLDFAST_TEST_S3_{name}", "test") for name in ("KEY", "SECRET"))
        yield S3Server(running, key, secret)
        return
    process, port = _started()
    try:
        yield S3Server(f"http://127.0.0.1:{port}", "test", "test")
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _started() -> "tuple[subprocess.Popen[bytes], int]":
    """A server that answers, and its port; somebody else may take a free port first, and then another one is tried."""
    for _ in range(_PORTS_TRIED_MAX):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up = time.monotonic() + PATIENCE_SECONDS
        while process.poll() is None and time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return process, port
        process.terminate()
        process.wait(PATIENCE_SECONDS)
    raise AssertionError("the S3 server does not start")
