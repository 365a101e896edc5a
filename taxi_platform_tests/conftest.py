"""Servers that several areas of the tests need: started when the first test asks, one for each worker or module."""

from collections.abc import Generator

import pytest

from taxi_platform_tests.core.warehouse.bigquery_live import live_dataset
from taxi_platform_tests.core.warehouse.bigquery_server import BigQueryServer, bigquery_server
from taxi_platform_tests.postgres_server import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer, None, None]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def bigquery(tmp_path_factory: pytest.TempPathFactory) -> Generator[BigQueryServer, None, None]:
    with bigquery_server(tmp_path_factory.mktemp("bigquery")) as server:
        yield server


@pytest.fixture
def bigquery_itself() -> Generator[str, None, None]:
    with live_dataset() as url:
        yield url


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: what begins last is what everybody waits for."""
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)
