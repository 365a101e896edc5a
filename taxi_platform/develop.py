"""What `make dev` runs: a code server, the UI and the daemon, which begin together and end together.

They are Dagster's own, the code server with runs that begin at once (`code_server.py`), the UI with somebody at its
door (`ui.py`). `dagster dev` starts the same three, but a UI that cannot have its port or has ended is one it waits
for, so that a daemon goes on alone, unseen; and it hears no signal that its own shell was told to ignore.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from taxi_platform.core.errors import TaxiPlatformError

_HOST = "127.0.0.1"
_LARGEST_PORT = 65_535
_LOOK_SECONDS = 0.2
#: Until who was told to end is killed. A month that is cut off is run again by the next `make dev`.
_LEAVING_SECONDS = 30.0
_CODE_SERVER = ["code-server", "start", "--module-name", "taxi_platform.definitions"]
_CODE_SERVER += ["--location-name", "taxi_platform", "--log-level", "warning"]
_APART: dict[str, Any] = {"stdin": subprocess.DEVNULL, "start_new_session": True}


def checked_port(told: str) -> int:
    """A port the UI can have.

    Args:
        told: What `PORT` says.

    Raises:
        TaxiPlatformError: It is no port, or somebody else has it.
    """
    is_number = told.isascii() and told.isdigit() and len(told) <= len(str(_LARGEST_PORT))
    if not is_number or not 1 <= int(told) <= _LARGEST_PORT:
        raise TaxiPlatformError(f"PORT={told!r} is no port", fix=f"make dev PORT=… with a number, 1 to {_LARGEST_PORT}")
    with socket.socket() as tried:
        # As the UI will: what the kernel still remembers of connections of an earlier one is in nobody's way.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((_HOST, int(told)))
        except OSError as error:
            raise TaxiPlatformError(
                f"the UI cannot have port {told}",
                where=_HOST,
                cause=f"{error.strerror}: another `make dev` or another program has it",
                fix="end that one, or take another: make dev PORT=…",
            ) from error
    return int(told)


def develop(environment: Mapping[str, str], port: int) -> int:
    """Run all three until somebody says that it is over (SIGINT, SIGTERM, SIGHUP).

    Args:
        environment: What they get, with `DAGSTER_HOME`.
        port: Where the UI is.

    Returns:
        The exit status: 0 if it was told to end, 1 if one of them ended by itself, and the others for that reason.
    """
    with _signals() as told, tempfile.TemporaryDirectory(prefix="taxi-") as folder:
        code, workspace = Path(folder, "code"), Path(folder, "workspace.yaml")
        location = {"location_name": "taxi_platform", "host": "localhost", "socket": str(code)}
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": location}]}), encoding="utf-8")
        shared = ["--workspace", str(workspace)]
        services: list[_Service] = []

        def begin(name: str, *module_and_arguments: str) -> None:
            command = [sys.executable, "-m", *module_and_arguments]
            services.append(_Service(name, subprocess.Popen(command, env=environment, **_APART)))  # noqa: S603 (ours)

        try:
            begin("code server", "taxi_platform.code_server", *_CODE_SERVER, "--socket", str(code))
            _wait(services, lambda: bool(told) or _answers(code))
            if not told:
                begin("UI", "taxi_platform.ui", str(port), "--host", _HOST, *shared)
                begin("daemon", "taxi_platform.daemon", "run", *shared)
            _wait(services, lambda: bool(told))
        except _AloneError as error:
            sys.stderr.write(f"{error}\n")
            _tell(environment, str(error))
            return 1
        finally:
            _end(services, told)
    return 0


def _tell(environment: Mapping[str, str], text: str) -> None:
    """Tell the services of `TAXI_ALERT_URLS`: the sensor that tells them of the rest has ended with the daemon."""
    # What it takes to tell people takes a while to load, and nobody else here needs it.
    from taxi_platform.resources import AlertsResource
    from taxi_platform.settings import Settings

    settings = Settings.from_env(environment)
    alerts = AlertsResource(urls=" ".join(settings.alert_urls), ui_url=settings.ui_url)
    for place in range(len(alerts.services)):
        if not alerts.send(place, "taxi_platform is down", text, "failure"):
            sys.stderr.write(f"service {place + 1} of TAXI_ALERT_URLS was not told of it\n")


class _AloneError(TaxiPlatformError):
    """One of the three is no more."""


@dataclass(frozen=True)
class _Service:
    """One of the three, in a session of its own: it is told to end here only, and with it all that it has started.

    Attributes:
        name: What people call it.
        process: The first of its processes.
    """

    name: str
    process: "subprocess.Popen[Any]"

    def end(self, is_hurried: Callable[[], bool]) -> None:
        """Tell all its processes to end; those that have not after a while are killed, or at once if there is a hurry.

        Args:
            is_hurried: Whether there is one by now.
        """
        end = time.monotonic() + _LEAVING_SECONDS
        self._tell(signal.SIGTERM)
        while self._tell(0) and not is_hurried() and time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)
        self._tell(signal.SIGKILL)
        self.process.wait()

    def _tell(self, number: int) -> bool:
        """Send a signal to whatever is left of it (0: to see whether something is); False if nothing is."""
        self.process.poll()  # one that has ended stays in its session until somebody asks
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
            return True
        return False


def _end(services: Sequence[_Service], told: Sequence[int]) -> None:
    """End all of them; whoever says it once more meanwhile ends all at once.

    Args:
        services: In the order they began: who needs the code server goes before it does.
        told: The signals that have come; more come meanwhile.
    """
    before = min(len(told), 1)  # the second may have come before anybody looked
    for service in reversed(services):
        service.end(lambda: len(told) > before)


def _wait(services: Sequence[_Service], condition: Callable[[], bool]) -> None:
    """Wait for something, as long as all of them are there."""
    while not condition():
        for service in services:
            if (status := service.process.poll()) is not None:
                raise _AloneError(
                    f"the {service.name} has ended by itself (exit status {status}); the others are ended, too",
                    cause="what it says above",
                    fix="`make dev` again",
                )
        time.sleep(_LOOK_SECONDS)


@contextmanager
def _signals() -> Generator[Sequence[int], None, None]:
    """The signals that come while the block runs.

    SIGINT is heard also where a script had its command in the background ignore it; SIGHUP is not, for that is `nohup`.
    """
    told: list[int] = []
    heard = [signal.SIGINT, signal.SIGTERM]
    heard += [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
    before = {number: signal.signal(number, lambda it, _: told.append(it)) for number in heard}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
