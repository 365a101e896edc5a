"""Servers that several areas of the tests need: started when the first test asks, one for each worker."""

from collections.abc import Generator

import pytest

from taxi_platform_tests.postgres_server import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer, None, None]:
    with postgres_server() as server:
        yield server
