"""What the tests of the source share: contracts, a web server, a raw folder, and TLC's real files if they are near."""

from __future__ import annotations

import logging
from collections.abc import Generator
from pathlib import Path

import pytest

from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.month import Month
from taxi_platform.core.source import Fetched, RetryPolicy, Source, open_source
from taxi_platform_tests.core.source.server import Server, running_server

_SHARED_DATA = Path(__file__).parents[4] / "shared" / "data"

#: As patient as a real one, in milliseconds.
IMPATIENT = RetryPolicy(attempts=4, first_wait=0.001, longest_wait=0.01, timeout=10.0)
MONTH = Month(2020, 4)
LOG = logging.getLogger("taxi_platform.tests")


class Fetcher:
    """Fetches green 2020-04 from any source into one raw folder."""

    def __init__(self, catalog: Catalog, raw_dir: Path) -> None:
        self.catalog, self.raw_dir = catalog, raw_dir
        self.contract: TripContract = catalog.trips["green"]
        self.folder = raw_dir / "green" / str(MONTH)

    def source(self, setting: str, retry: RetryPolicy = IMPATIENT, sample_rows: int = 1000) -> Source:
        """The source that `TAXI_SOURCE=<setting>` names."""
        return open_source(setting, self.raw_dir, self.catalog, sample_rows, retry)

    def __call__(self, setting: str, retry: RetryPolicy = IMPATIENT, sample_rows: int = 1000) -> Fetched:
        """Fetch the month."""
        return self.source(setting, retry, sample_rows).fetch(self.contract, MONTH, LOG)

    @property
    def left(self) -> set[str]:
        """Names of everything in the month's folder."""
        return {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def fetch(catalog: Catalog, tmp_path: Path) -> Fetcher:
    return Fetcher(catalog, tmp_path / "raw")


@pytest.fixture
def server() -> Generator[Server, None, None]:
    with running_server() as running:
        yield running


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """TLC's real files beside the repository; a test that wants them is skipped where they are not."""
    if not _SHARED_DATA.is_dir():
        pytest.skip(f"no real files in {_SHARED_DATA}")
    return _SHARED_DATA
