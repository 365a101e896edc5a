"""Servers that several areas of the tests need: started when the first test asks, one for each worker or module."""

import os
import shutil
import signal
import threading
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from real_servers.azure import AzureServer, NoAzuriteError, azure_server
from real_servers.gcs import GCSServer, gcs_server
from real_servers.postgres import PostgresServer, postgres_server
from real_servers.s3 import S3Server, s3_server
from taxi_platform.instance import prepare
from taxi_platform_tests.core.warehouse.bigquery_live import live_dataset
from taxi_platform_tests.core.warehouse.bigquery_server import BigQueryServer, bigquery_server


class HasEnvironment(Protocol):
    """A server that is found by variables."""

    def environment(self) -> dict[str, str]:
        """They, by name."""
        ...


_Server = TypeVar("_Server", bound=HasEnvironment)


def known(server: _Server, monkeypatch: pytest.MonkeyPatch) -> _Server:
    """A server that this process and those it starts find, until the test ends."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer, None, None]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def s3_process() -> Generator[S3Server, None, None]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_process: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A real S3, whose account this process and those it starts have."""
    return known(s3_process, monkeypatch)


@pytest.fixture(scope="session")
def gcs_process() -> Generator[GCSServer, None, None]:
    with gcs_server() as server:
        yield server


@pytest.fixture
def gcs(gcs_process: GCSServer, monkeypatch: pytest.MonkeyPatch) -> GCSServer:
    """A Cloud Storage that others wrote, and that this process and those it starts take for Google's."""
    return known(gcs_process, monkeypatch)


@pytest.fixture(scope="session")
def azure_process() -> Generator[AzureServer, None, None]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(azure_server(Path.home() / ".cache" / "taxi-platform-tests" / "azurite"))
        except NoAzuriteError as error:
            pytest.skip(str(error))
        yield server


@pytest.fixture
def azure(azure_process: AzureServer, monkeypatch: pytest.MonkeyPatch) -> AzureServer:
    """What stands in for Azure, whose account this process and those it starts have."""
    return known(azure_process, monkeypatch)


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dagster's folder as the first command of `taxi` leaves it: to make its tables takes two seconds."""
    home = tmp_path_factory.mktemp("prepared") / "dagster"
    prepare(home, os.environ | {"DAGSTER_HOME": str(home)})
    return home


@pytest.fixture
def dagster_is_there(tmp_path: Path, prepared_home: Path) -> None:
    """The data folder `data` of a test is not new to the platform: Dagster's folder is in it."""
    shutil.copytree(prepared_home, tmp_path / "data" / "dagster")


@pytest.fixture(scope="module")
def bigquery(tmp_path_factory: pytest.TempPathFactory) -> Generator[BigQueryServer, None, None]:
    with bigquery_server(tmp_path_factory.mktemp("bigquery")) as server:
        yield server


@pytest.fixture
def bigquery_itself() -> Generator[str, None, None]:
    with live_dataset() as url:
        yield url


def pytest_configure() -> None:
    """Take SIGTERM for Ctrl-C: what fixtures started is ended and removed by them, and by nobody else.

    Left as it is, the signal ends pytest between two lines; its servers and their folders would stay.
    """
    is_ours = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _as_ctrl_c)
        # A process that a test forks has none of this to remove, and ends as any other.
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))


def _as_ctrl_c(_: int, __: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: a second one would cut short what removes the rest
    raise KeyboardInterrupt


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: most tests start something, and wait until it is there."""
    return (os.cpu_count() or 1) * 3 // 2 or 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: what begins last is what everybody waits for."""
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)
