"""What the tests of lakes share: a Google Cloud Storage of their own, and a bucket for each test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest

from taxi_platform_tests.core.lake.gcs_server import GoogleStorage, running_storage
from taxi_platform_tests.core.lake.s3_server import BUCKET, S3Server, running_s3


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Generator[GoogleStorage, None, None]:
    """A storage that this process and those it starts take for Google's."""
    with running_storage() as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.endpoint)
        yield running


@pytest.fixture
def bucket(google: GoogleStorage) -> str:
    """A bucket, empty."""
    name = f"lake-{uuid4().hex[:8]}"
    google.create_bucket(name)
    return name


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[S3Server, None, None]:
    """A real S3, which takes seconds to start: one for all."""
    with running_s3(Path(tmp_path_factory.mktemp("s3"))) as server:
        yield server


@pytest.fixture
def s3(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """It, with what this process and those it starts need to use it."""
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def s3_url(s3: S3Server) -> str:
    """A lake in it that nobody has used; all in one bucket, of which this server can have few."""
    return s3.url(BUCKET, f"lake-{uuid4().hex[:8]}")
