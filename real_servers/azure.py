"""Azure Blob Storage on this machine: azurite, Microsoft's own stand-in, from npm.

It knows ETag conditions and the checksums of blocks. It takes a node and the registry; where either is missing, whoever
asks is told so. It is installed once, into a folder that is kept for the next time.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from azure.storage.blob import BlobServiceClient
from filelock import FileLock

#: The version that is installed.
AZURITE = "3.37.0"
ACCOUNT = "taxitrips"
_PATIENCE = 60


class NoAzuriteError(Exception):
    """There is no node here, or no registry to install azurite from."""


@dataclass
class AzureServer:
    """One server; what is in it is gone with it.

    Attributes:
        port: Where it is.
        key: Of its account.
    """

    port: int
    key: str = field(repr=False)

    def environment(self, key: str | None = None, port: int | None = None) -> dict[str, str]:
        """Azure's own variable, by which a program finds its account."""
        said = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": ACCOUNT,
            "AccountKey": key or self.key,
            "BlobEndpoint": f"http://127.0.0.1:{port or self.port}/{ACCOUNT}",
        }
        return {"AZURE_STORAGE_CONNECTION_STRING": ";".join(f"{name}={value}" for name, value in said.items())}

    def new_container(self) -> str:
        """A container nobody has used."""
        name = f"lake-{secrets.token_hex(6)}"
        self.client().create_container(name)
        return name

    def client(self) -> BlobServiceClient:
        """A client with the account's key."""
        return BlobServiceClient.from_connection_string(self.environment()["AZURE_STORAGE_CONNECTION_STRING"])


@contextmanager
def azure_server(cache: Path) -> Generator[AzureServer, None, None]:
    """A server for as long as the block lasts.

    Args:
        cache: The folder it is installed into.

    Raises:
        NoAzuriteError: It cannot be installed or started here.
    """
    program = _installed(cache)
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    command = ["node", program, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
    command += ["--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    log = cache / f"{secrets.token_hex(6)}.log"
    environment = os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"}
    try:
        with (
            log.open("wb") as said,
            subprocess.Popen(command, cwd=cache, env=environment, stdout=said, stderr=said) as process,
        ):
            try:
                yield AzureServer(_port(process, log), key)
            finally:
                process.kill()
    finally:
        log.unlink()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port it says it listens on."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"listens on http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return int(found[1])
        time.sleep(0.05)
    raise NoAzuriteError(f"azurite does not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _installed(cache: Path) -> Path:
    if not (shutil.which("node") and shutil.which("npm")):
        raise NoAzuriteError("there is no node here, which azurite needs")
    cache.mkdir(parents=True, exist_ok=True)
    program = cache / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    done = cache / f"azurite-{AZURITE}"
    with FileLock(cache / ".lock"):  # several workers may ask at once
        if not done.exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--no-save"]
            command += [f"--prefix={cache}", f"azurite@{AZURITE}"]
            try:
                got = subprocess.run(command, capture_output=True, text=True, timeout=240)
            except subprocess.TimeoutExpired:
                raise NoAzuriteError("npm's registry does not answer") from None
            if got.returncode or not program.exists():
                raise NoAzuriteError(f"azurite cannot be installed: {got.stderr.strip()[-500:]}")
            done.touch()
    return program
