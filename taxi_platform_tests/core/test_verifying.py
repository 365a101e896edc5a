"""The lake and the table held against each other: what was said of a month counts only as long as it is so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.verifying import table_matches_lake, verify_month
from taxi_platform.core.warehouse.duckdb import DuckDBWarehouse
from taxi_platform_tests.core.warehouse.months import FEBRUARY, JANUARY, contract_of, month_file

CONTRACT = contract_of()
ROWS = [{"pickup_datetime": datetime(2021, 1, 10), "vendor_id": it, "fare_amount": 10.5 * it} for it in (1, 2, 3)]


@pytest.fixture
def store(tmp_path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(tmp_path / "warehouse.duckdb")


def saying(file: ParquetFile, fingerprint: str) -> ParquetFile:
    """The file, saying of itself that it has a fingerprint."""
    lineage = replace(file.lineage, fingerprint=fingerprint)
    table = pq.read_table(file.path).replace_schema_metadata({"taxi_platform": lineage.to_json()})
    path = file.path.with_name(f"saying {fingerprint}.parquet")
    pq.write_table(table, path)
    return ParquetFile(path)


@pytest.mark.parametrize("said", ["", "0" * 15], ids=["a month of before", "another contract's"])
def test_of_an_object_that_does_not_say_it_the_rows_are_asked(
    store: DuckDBWarehouse, tmp_path: Path, said: str
) -> None:
    file = saying(month_file(CONTRACT, JANUARY, ROWS, tmp_path / "month.parquet"), said)
    store.replace_month(CONTRACT, JANUARY, file)
    assert table_matches_lake(CONTRACT, JANUARY, store, file, tmp_path, anew=False).holds
    other = saying(month_file(CONTRACT, JANUARY, [*ROWS, ROWS[0]], tmp_path / "month.parquet"), said)
    found = table_matches_lake(CONTRACT, JANUARY, store, other, tmp_path, anew=False)
    assert not found.holds
    assert found.says.startswith("3 rows against 4; ")


def test_alone_an_object_is_not_believed(store: DuckDBWarehouse, tmp_path: Path) -> None:
    store.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, ROWS, tmp_path / "month.parquet"))
    changed = [row | {"fare_amount": fare} for row, fare in zip(ROWS, (21.0, 10.5, 31.5), strict=True)]
    file = month_file(CONTRACT, JANUARY, changed, tmp_path / "changed.parquet")
    file = saying(file, store.fingerprint_month(CONTRACT, JANUARY).digits)
    assert table_matches_lake(CONTRACT, JANUARY, store, file, tmp_path, anew=False).holds
    found = verify_month(CONTRACT, JANUARY, store, file, tmp_path)
    assert found.said == (found.in_table and found.in_table.digits)
    assert not found.finding.holds
    assert found.finding.says.startswith("as many rows and the same sums, but values stand in other rows")


def test_a_month_in_one_store_only_is_not_right_and_one_in_neither_is_nowhere(
    store: DuckDBWarehouse, tmp_path: Path
) -> None:
    file = month_file(CONTRACT, JANUARY, ROWS, tmp_path / "month.parquet")
    assert not verify_month(CONTRACT, JANUARY, store, None, tmp_path).is_held
    found = verify_month(CONTRACT, JANUARY, store, file, tmp_path)
    assert (found.finding.holds, found.finding.says) == (False, "3 rows in the lake, and no table")
    store.replace_month(CONTRACT, JANUARY, file)
    found = verify_month(CONTRACT, JANUARY, store, None, tmp_path)
    assert (found.finding.holds, found.finding.says) == (False, "3 rows in the table, and no object in the lake")
    assert not verify_month(CONTRACT, FEBRUARY, store, file, tmp_path).finding.holds
    nowhere = verify_month(CONTRACT, FEBRUARY, store, None, tmp_path)
    assert (nowhere.is_held, nowhere.finding.holds) == (False, True)
