"""A real S3: SeaweedFS, one program from PyPI, on ports of this machine.

It checks what a lake relies on: conditions of puts and of multiparts, checksums of requests and of whole objects.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

#: The owner of every bucket, and somebody who may only look.
OWNER, READER = "AKIAOWNER", "AKIAREADER"
REGION = "us-east-1"
_PATIENCE = 60


@dataclass
class S3Server:
    """One server; what is in it is gone with it.

    Attributes:
        endpoint: Where it is.
        keys: Account to secret key.
    """

    endpoint: str
    keys: dict[str, str] = field(repr=False)

    def environment(self, account: str = OWNER) -> dict[str, str]:
        """AWS's own variables, by which every client finds its account."""
        return {
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": self.keys[account],
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def url(self, bucket: str, prefix: str = "") -> str:
        """What `TAXI_LAKE_URL` is to be."""
        return f"s3://{bucket}{prefix and '/' + prefix}?endpoint={self.endpoint}&region={REGION}"

    def new_bucket(self) -> str:
        """A bucket nobody has used."""
        name = f"lake-{secrets.token_hex(6)}"
        self.client().create_bucket(Bucket=name)
        return name

    def client(self) -> Any:
        """A client with the owner's account."""
        return Session(OWNER, self.keys[OWNER]).client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            config=Config(connect_timeout=5, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )


@contextmanager
def s3_server(address: str = "127.0.0.1") -> Generator[S3Server, None, None]:
    """A server for as long as the block lasts, at an address of this machine."""
    keys = {account: secrets.token_hex(20) for account in (OWNER, READER)}
    may = {OWNER: ["Admin"], READER: ["Read", "List"]}
    identities = [
        {"name": it, "credentials": [{"accessKey": it, "secretKey": keys[it]}], "actions": may[it]} for it in keys
    ]
    with tempfile.TemporaryDirectory(prefix="taxi-s3-", ignore_cleanup_errors=True) as folder:
        config = Path(folder) / "s3.json"
        config.write_text(json.dumps({"identities": identities}), encoding="utf-8")
        ports = _free_ports(4)
        command = [
            Path(sys.executable).with_name("weed"),
            "server",
            f"-dir={folder}",
            f"-ip={address}",
            f"-ip.bind={address}",
            f"-master.port={ports[0]}",
            f"-volume.port={ports[1]}",
            "-filer",
            f"-filer.port={ports[2]}",
            "-s3",
            f"-s3.port={ports[3]}",
            f"-s3.config={config}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-volume.max=5000",  # a bucket has volumes of its own, and every test a bucket
            "-master.volumeSizeLimitMB=64",
        ]
        server = S3Server(f"http://{address}:{ports[3]}", keys)
        log = Path(folder) / "log"
        # One volume at a time, where it would make seven at a bucket's first object.
        environment = os.environ | {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
        with (
            log.open("wb") as said,
            subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said) as process,
        ):
            try:
                _wait(server, process, log)
                yield server
            finally:
                process.kill()  # it takes its time over SIGTERM, and nothing of it is kept


def _wait(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it can store an object, which is later than it answers."""
    until, client = time.monotonic() + _PATIENCE, server.client()
    while process.poll() is None and time.monotonic() < until:
        with suppress(ClientError, BotoCoreError):
            client.create_bucket(Bucket="is-it-up")
            client.put_object(Bucket="is-it-up", Key="yes", Body=b"yes")
            return
        time.sleep(0.1)
    raise RuntimeError(log.read_text(encoding="utf-8", errors="replace")[-5000:])


def _free_ports(count: int) -> list[int]:
    """Ports nobody has; each has a second one, 10,000 higher, that the server takes for its own talk."""
    found: list[int] = []
    for _ in range(1000):
        port = secrets.randbelow(20_000) + 12_000
        with ExitStack() as stack, suppress(OSError):
            for it in (port, port + 10_000):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", it))
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("there are no free ports")
