"""What the tests of lakes share: a Google Cloud Storage of their own, and a bucket for each test."""

from __future__ import annotations

from collections.abc import Generator
from uuid import uuid4

import pytest

from taxi_platform_tests.core.lake.gcs_server import GoogleStorage, running_storage


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
