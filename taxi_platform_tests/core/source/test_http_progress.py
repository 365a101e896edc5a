"""A long download says how it is getting on.

In a module of its own, so that others run in the five seconds it waits for a report.
"""

from __future__ import annotations

import logging

import pytest

from taxi_platform_tests.core.source import months
from taxi_platform_tests.core.source.conftest import Fetcher
from taxi_platform_tests.core.source.server import Answer, Server


def test_a_slow_download_says_how_it_is_getting_on(
    fetch: Fetcher, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    body = months.csv_gz(20_000)
    server.serve(f"/{months.CSV_GZ}", Answer(200, body, stall_at=len(body) // 2, stall_seconds=5.1))
    with caplog.at_level(logging.INFO):
        fetch(server.url)
    reports = [message for message in caplog.messages if "MB/s" in message]
    assert reports
    assert all(message.startswith("green 2020-04: ") for message in reports)
    assert f" of {len(body) / 1e6:,.1f} MB (" in reports[0]
