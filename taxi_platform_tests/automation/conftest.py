"""What the tests of alerts share: a service that people read, and who looks on their behalf."""

from collections.abc import Generator

import dagster as dg
import pytest

from taxi_platform_tests.automation.endpoint import Endpoint, running_endpoint
from taxi_platform_tests.automation.watching import Watch


@pytest.fixture
def endpoint() -> Generator[Endpoint, None, None]:
    """A service of a test's own."""
    with running_endpoint() as it:
        yield it


@pytest.fixture
def watch(instance: dg.DagsterInstance, endpoint: Endpoint) -> Watch:
    """Who has begun to look at the test's instance."""
    watch = Watch(instance, endpoint.url())
    watch.look()
    return watch
