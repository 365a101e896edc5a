"""A real S3 for the tests: SeaweedFS, one program from PyPI, which keeps conditions and checksums as Amazon says."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boto3.session import Session
from botocore.exceptions import BotoCoreError, ClientError

from taxi_platform_tests.deployment.compose import free_port

_WEED = Path(sys.executable).with_name("weed")
_PATIENCE = 60.0
#: Its one bucket.
BUCKET = "lakes"


@dataclass(frozen=True)
class S3Server:
    """A server that runs.

    Attributes:
        endpoint: Its address.
        key: Of its one user.
        secret: Likewise.
    """

    endpoint: str
    key: str
    secret: str

    @property
    def environ(self) -> Mapping[str, str]:
        """AWS's own variables, for who uses it."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def client(self) -> Any:
        """boto3's, for what a test does besides."""
        return Session(self.key, self.secret, region_name="us-east-1").client("s3", endpoint_url=self.endpoint)

    def url(self, bucket: str, prefix: str = "") -> str:
        """How the platform is told of it."""
        return f"s3://{bucket}{f'/{prefix}' if prefix else ''}?endpoint={self.endpoint}&region=us-east-1"


@contextmanager
def running_s3(folder: Path) -> Generator[S3Server, None, None]:
    """A server for as long as the block lasts; what it holds is gone with the folder."""
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    inner = {f"{name}.grpc": free_port() for name in ports}
    server = S3Server(f"http://127.0.0.1:{ports['s3']}", f"key{secrets.token_hex(6)}", secrets.token_hex(16))
    credentials = [{"accessKey": server.key, "secretKey": server.secret}]
    told = {"identities": [{"name": "taxi", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}]}
    (folder / "s3.json").write_text(json.dumps(told))
    command = [
        *(str(_WEED), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"),
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name.replace('.grpc', '')}.port.grpc={port}" for name, port in inner.items()),
        *(f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-volume.max=50", "-master.volumeSizeLimitMB=64"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        _await(server, process, folder / "log")
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it is slow to heed anything else
        process.wait()


def _await(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            server.client.create_bucket(Bucket=BUCKET)
            server.client.put_object(Bucket=BUCKET, Key="a", Body=b"b")
        except (ClientError, BotoCoreError) as error:
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < end, f"{error}\n{log.read_text()[-4000:]}"
            time.sleep(0.2)
        else:
            return
