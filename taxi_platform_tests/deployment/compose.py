"""docker-compose.yaml without Docker: its very commands, with its environment, as processes of this machine.

What a container would have to itself is replaced, and nothing else: the names of the services and the addresses they
listen at by 127.0.0.1, where nobody else on the network reaches them, their ports by free ones, /data and /opt/dagster
by folders, and the image's PATH by that of the tests. A process group stands for a container: what is killed is all of
it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from real_servers.postgres import PostgresServer

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yaml"
BIN = Path(sys.executable).parent
#: The longest a service may take to be healthy, or a command to end, on a machine that is busy with other tests.
PATIENCE = 120.0

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?+])([^${}]*))?\}")


def compose_file(environ: Mapping[str, str]) -> dict[str, Any]:
    """The file as compose understands it.

    Args:
        environ: What `.env` and the shell say.

    Raises:
        KeyError: A variable that must be set is not; with the message of the file.
    """
    return _interpolated(yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8")), environ)


def write_env(path: Path) -> subprocess.CompletedProcess[str]:
    """Do what `make env` does, to a file of ours."""
    command = [sys.executable, ROOT / "deploy" / "compose" / "write_env.py", path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _interpolated(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _interpolated(it, environ) for key, it in value.items()}
    if isinstance(value, list):
        return [_interpolated(it, environ) for it in value]
    while isinstance(value, str) and _VARIABLE.search(value):  # the innermost first
        value = _VARIABLE.sub(lambda found: _looked_up(found, environ), value)
    return value


def _looked_up(found: re.Match[str], environ: Mapping[str, str]) -> str:
    name, kind, text = found.groups()
    if kind == "?" and not environ.get(name):
        raise KeyError(f"{name}: {text}")
    if kind == "+":
        return text if environ.get(name) else ""
    return environ.get(name) or text or ""


@dataclass
class Deployment:
    """The services of the file, with a place of their own on this machine.

    Attributes:
        folder: Where everything is: `data` for /data, `dagster` for /opt/dagster, `taxi` for /opt/taxi, `secrets` and
            `passwords` for those of /run, `logs`.
        ports: Port of a container -> port here.
        environ: What `.env` and the shell say.
        postgres: The folders of PostgreSQL's programs and of its socket.
    """

    folder: Path
    ports: dict[int, int]
    environ: dict[str, str]
    postgres: tuple[Path, Path]
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict[str, "subprocess.Popen[bytes]"])

    def copy_files(self, overrides: Mapping[str, Mapping[str, object]]) -> None:
        """Put the files of the image where the Dockerfile puts them.

        Args:
            overrides: Section of dagster.yaml -> what a test says differently in it.
        """
        instance = yaml.safe_load((ROOT / "deploy" / "compose" / "dagster.yaml").read_text(encoding="utf-8"))
        for section, changes in overrides.items():
            instance[section] |= changes
        (self.folder / "dagster").mkdir(parents=True)
        (self.folder / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(instance), encoding="utf-8")
        for name in ("workspace.yaml", "probe.py", "passwords.sh", "databases.sh"):
            place = self.folder / "taxi" / ("" if name.endswith(".sh") else "deploy/compose")
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "deploy" / "compose" / name, place)
        (self.folder / "logs").mkdir()
        (self.folder / "data").mkdir()

    def service(self, name: str) -> dict[str, Any]:
        """A service as it is on this machine."""
        return self._placed(compose_file(self.environ)["services"][name])

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Do a service's command, or another in its place, to the end: `docker compose run`."""
        service = self.service(name)
        return subprocess.run(
            command or service["command"],
            cwd=self.folder / "taxi",
            env=self._environ(service),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def start(self, name: str) -> None:
        """Start a service, and wait until its health check succeeds."""
        service = self.service(name)
        with (self.folder / "logs" / name).open("ab") as log:
            process = self._running[name] = subprocess.Popen(
                service["command"],
                cwd=self.folder / "taxi",
                env=self._environ(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.is_healthy(name):
            assert process.poll() is None, self.log(name)
            assert time.monotonic() < deadline, f"{name} is not healthy\n{self.log(name)}"
            time.sleep(1)

    def is_healthy(self, name: str) -> bool:
        """Ask a service as its health check does."""
        kind, *test = self.service(name)["healthcheck"]["test"]
        command = test if kind == "CMD" else ["/bin/sh", "-c", *test]
        return self.run(name, *command).returncode == 0

    def kill(self, name: str) -> None:
        """End a service and every process in it, as a lack of memory or of power does."""
        process = self._running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> int:
        """Stop a service as compose does: its first process is told, and the rest ends with it.

        Returns:
            Its exit status.

        Raises:
            subprocess.TimeoutExpired: It took longer than `PATIENCE`.
        """
        process = self._running[name]
        process.terminate()
        status = process.wait(PATIENCE)
        self.kill(name)
        return status

    def end(self) -> None:
        """End whatever is running."""
        for name in [*self._running]:
            self.kill(name)

    def log(self, name: str) -> str:
        """What a service printed last."""
        return "".join((self.folder / "logs" / name).read_text(encoding="utf-8").splitlines(keepends=True)[-80:])

    def environ_of(self, name: str) -> dict[str, str]:
        """The environment of a service's processes."""
        return self._environ(self.service(name))

    def _environ(self, service: Mapping[str, Any]) -> dict[str, str]:
        # The image's user owns no home to speak of, and neither has this one.
        binaries, socket = self.postgres
        environ = {"PATH": f"{BIN}:{binaries}:{os.defpath}", "HOME": str(self.folder / "home")}
        if "socket:/var/run/postgresql" in service.get("volumes", []):
            environ |= {"PGHOST": str(socket), "PGPORT": str(self.ports[5432])}
        return environ | service.get("environment", {})

    def _placed(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._placed(it) for key, it in value.items()}
        if isinstance(value, list):
            return [self._placed(it) for it in value]
        if not isinstance(value, str):
            return value
        value = re.sub(r"(^|//|@)(postgres|code|gcs)(?=$|:\d)", r"\g<1>127.0.0.1", value)
        value = "127.0.0.1" if value == "0.0.0.0" else value
        value = re.sub(r"(^|[:=])(\d{4})(?=$|[/ '])", lambda found: found[1] + self._port(found[2]), value)
        return re.sub(r"(^|//)/(data|opt/dagster|opt/taxi|run/secrets|run/passwords)(?=/|$)", self._folder, value)

    def _port(self, port: str) -> str:
        return str(self.ports.get(int(port), port))

    def _folder(self, found: re.Match[str]) -> str:
        return f"{found[1]}{self.folder / Path(found[2]).name}"


@contextmanager
def deployment(
    folder: Path, postgres: PostgresServer, overrides: Mapping[str, Mapping[str, object]], **environ: str
) -> Generator[Deployment, None, None]:
    """A place for the services for as long as the block lasts.

    Args:
        folder: A folder that is not there yet.
        postgres: The server that is `postgres`.
        overrides: Section of dagster.yaml -> what a test says differently in it.
        environ: What is in `.env` besides what `make env` wrote.
    """
    folder.mkdir()
    assert write_env(folder / ".env").returncode == 0
    written = {name: value or "" for name, value in dotenv_values(folder / ".env").items()}
    (folder / ".secrets").rename(folder / "secrets")
    ports = {5432: postgres.port} | {port: free_port() for port in (3000, 4000, 9023, 9108)}
    placed = Deployment(folder, ports, written | environ, (postgres.binaries, postgres.data))
    placed.copy_files(overrides)
    try:
        yield placed
    finally:
        placed.end()


def free_port() -> int:
    """A port nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
