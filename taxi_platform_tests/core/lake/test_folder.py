"""What is particular to a folder as a lake: its layout, and what a killed process leaves behind."""

import os
import signal
from pathlib import Path

import duckdb
import pyarrow.dataset as ds
import pytest

from taxi_platform.core.errors import LakeError
from taxi_platform.core.lake import open_lake
from taxi_platform.core.lake.folder import FolderLake
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.warehouse.months import FEBRUARY, JANUARY, contract_of, numbered_file
from taxi_platform_tests.core.warehouse.processes import SPAWN, put_month

CONTRACT = contract_of()
JANUARY_OBJECT = "probe_trips/source_month=2021-01/probe_tripdata_2021-01.parquet"


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    return FolderLake(tmp_path / "lake")


def test_objects_lie_in_hive_layout_and_nothing_else_does(lake: FolderLake, tmp_path: Path) -> None:
    put(lake, JANUARY, 3, tmp_path)
    put(lake, FEBRUARY, 4, tmp_path)
    put(lake, JANUARY, 5, tmp_path)
    assert files_below(lake.root) == [JANUARY_OBJECT, JANUARY_OBJECT.replace("2021-01", "2021-02")]


@pytest.mark.parametrize("reader", ["pyarrow", "duckdb"])
def test_programs_that_know_hive_layout_read_the_months_and_tell_them_apart(
    lake: FolderLake, tmp_path: Path, reader: str
) -> None:
    put(lake, JANUARY, 3, tmp_path)
    put(lake, FEBRUARY, 4, tmp_path)
    table = lake.root / "probe_trips"
    if reader == "pyarrow":
        found = ds.dataset(table, partitioning="hive").to_table()
        months = [str(month) for month in found.column("source_month").to_pylist()]
    else:
        query = f"SELECT source_month::VARCHAR FROM read_parquet('{table}/**/*.parquet', hive_partitioning = true)"
        months = [month for (month,) in duckdb.execute(query).fetchall()]
    assert sorted(months) == ["2021-01"] * 3 + ["2021-02"] * 4


def test_a_process_killed_while_it_copies_leaves_the_old_month_and_the_rerun_leaves_no_trace(
    lake: FolderLake, tmp_path: Path
) -> None:
    put(lake, JANUARY, 3, tmp_path)
    new = numbered_file(CONTRACT, JANUARY, 100_000, "new", tmp_path / "new")
    # A pipe instead of the cleaned file: the copy stops in the middle, for as long as the test wants.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = SPAWN.Process(target=put_month, args=(str(lake.root), CONTRACT, JANUARY, [pipe]))
    process.start()
    with pipe.open("wb", buffering=0) as half:
        half.write(new.path.read_bytes()[: new.bytes // 2])
        assert len(files_below(lake.root)) > 1  # it is at work
        process.kill()
        process.join()
    assert process.exitcode == -signal.SIGKILL

    assert lake.get(CONTRACT, JANUARY).rows == 3
    for rows in (
        ds.dataset(lake.root / "probe_trips", partitioning="hive").count_rows(),
        *duckdb.execute(f"SELECT count(*) FROM read_parquet('{lake.root}/**/*.parquet')").fetchall()[0],
    ):
        assert rows == 3

    lake.put(CONTRACT, JANUARY, new)
    assert lake.get(CONTRACT, JANUARY).sha256 == new.sha256
    assert files_below(lake.root) == [JANUARY_OBJECT]
    assert [it.name for it in (lake.root / JANUARY_OBJECT).parent.iterdir()] == [Path(JANUARY_OBJECT).name]


def test_a_put_that_fails_leaves_no_trace(lake: FolderLake, tmp_path: Path) -> None:
    put(lake, JANUARY, 3, tmp_path)
    with pytest.raises(OSError, match="No such file"):
        lake.put(CONTRACT, JANUARY, ParquetFile(tmp_path / "gone"))
    assert files_below(lake.root) == [JANUARY_OBJECT]
    assert lake.get(CONTRACT, JANUARY).rows == 3


@pytest.mark.parametrize("name", ["plain", "with blank", "a#b?c", "Zürich 🚕", "it's [1]*"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    lake = open_lake(str(tmp_path / name), tmp_path / "cache")
    file = numbered_file(CONTRACT, JANUARY, 3, "x", tmp_path / "month")
    assert lake.put(CONTRACT, JANUARY, file) == str(tmp_path / name / JANUARY_OBJECT)
    assert lake.get(CONTRACT, JANUARY).rows == 3


def test_a_kind_of_lake_that_is_not_built_in_is_a_clear_error() -> None:
    with pytest.raises(LakeError, match=r"hdfs://bucket/prefix.*Fix: set TAXI_LAKE_URL"):
        open_lake("hdfs://bucket/prefix", Path("cache"))


def put(lake: FolderLake, month: Month, rows: int, folder: Path) -> None:
    lake.put(CONTRACT, month, numbered_file(CONTRACT, month, rows, "x", folder / "month"))


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
