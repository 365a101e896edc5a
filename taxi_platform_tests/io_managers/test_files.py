"""What a layer of files distrusts: its own record, and whatever lies where a file was."""

import logging
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.lake import open_lake
from taxi_platform.core.month import Month
from taxi_platform.core.source import RetryPolicy, open_source
from taxi_platform.io_managers.files import RawIOManager

MONTH = "2021-01"


@pytest.mark.parametrize("what", ["is removed", "is cut", "is another as long", "has lost its record"])
def test_a_raw_file_that_is_not_the_one_recorded_is_not_handed_on(tmp_path: Path, what: str) -> None:
    catalog = load_catalog()
    source = open_source("sample", tmp_path, catalog, 50, RetryPolicy())
    raw = source.fetch(catalog.trips["green"], Month.parse(MONTH), logging.getLogger("taxi_platform.tests")).raw
    manager = RawIOManager(tmp_path, catalog, open_lake(str(tmp_path / "lake"), tmp_path / "cache"))
    context = dg.build_output_context(asset_key=["raw", "green_trips"], partition_key=MONTH)
    manager.handle_output(context, raw)

    body = raw.path.read_bytes()
    if what == "is removed":
        raw.path.unlink()
    elif what == "is cut":
        raw.path.write_bytes(body[:-1])
    elif what == "is another as long":
        raw.path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    else:
        for other in raw.path.parent.iterdir():
            if other != raw.path:
                other.unlink()

    with pytest.raises(dg.Failure, match=f"green {MONTH}: the raw file is ") as refused:
        manager.handle_output(context, raw)
    assert refused.value.allow_retries is False
