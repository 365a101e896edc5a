"""What is kept of a raw file: records of today, and those that an older version of the platform wrote."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from taxi_platform.core.cleaning import clean
from taxi_platform.core.month import Month
from taxi_platform.core.source import RawFile
from taxi_platform_tests.core.cleaning.months import HEADER, YELLOW, raw_file, trip


@pytest.mark.parametrize("name", ["yellow_tripdata_2021-01.csv", "yellow_tripdata_2021-01.csv.gz"])
def test_a_record_says_again_all_that_was_found_out(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    content = f"{HEADER}\n{trip()}\n".encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    raw = raw_file(path)
    raw.record()
    assert RawFile.in_folder(tmp_path) == raw


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("name", ["yellow_tripdata_2021-01.csv", "yellow_tripdata_2021-01.csv.gz"])
def test_a_month_that_an_older_version_fetched_is_cleaned_as_it_is(name: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / name
    content = end.join([HEADER, *(trip(extra=str(it)) for it in range(300)), ""]).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    raw_file(path).record()
    record = tmp_path / "provenance.json"
    fields = json.loads(record.read_text())
    for later in ("contents", "text"):
        del fields[later]
    record.write_text(json.dumps(fields))

    raw = RawFile.in_folder(tmp_path)
    assert raw is not None
    assert (raw.edition, raw.text) == ("csv", None)
    (tmp_path / "work").mkdir()
    assert clean(YELLOW, Month.parse("2021-01"), raw, YELLOW.actions(), tmp_path / "work").cleaned.rows == 300
