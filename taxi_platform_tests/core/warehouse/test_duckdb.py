"""What is particular to a DuckDB file as a warehouse: one process at a time, and a path of any shape."""

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from taxi_platform.core import engine
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.core.warehouse.duckdb import DuckDBWarehouse
from taxi_platform_tests.core.warehouse.months import JANUARY, contract_of, month_file

CONTRACT = contract_of()
_HOLD = "import duckdb, sys, time; con = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep({seconds})"


@contextmanager
def held_by_another_process(path: Path, seconds: float) -> Generator[int, None, None]:
    """Another process has the file open; yields its id."""
    command = [sys.executable, "-c", _HOLD.format(seconds=seconds), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder.pid
        holder.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


def test_a_locked_file_is_waited_for(path: Path, tmp_path: Path) -> None:
    file = month_file(CONTRACT, JANUARY, [{"trip_number": 1}], tmp_path / "month")
    with held_by_another_process(path, seconds=1):
        started = time.monotonic()
        assert DuckDBWarehouse(path, patience=60).replace_month(CONTRACT, JANUARY, file) == 1
        assert time.monotonic() - started > 0.5


def test_a_reader_waits_for_a_locked_file_too(path: Path, tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(path, patience=60)
    warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, [{"trip_number": 1}], tmp_path / "month"))
    with held_by_another_process(path, seconds=1):
        assert warehouse.read_months(CONTRACT, [JANUARY]).num_rows == 1


def test_a_file_that_stays_locked_is_given_up_naming_who_holds_it_and_what_to_do(path: Path, tmp_path: Path) -> None:
    file = month_file(CONTRACT, JANUARY, [], tmp_path / "month")
    with held_by_another_process(path, seconds=60) as holder:
        started = time.monotonic()
        with pytest.raises(WarehouseError, match="another process has held the warehouse") as raised:
            DuckDBWarehouse(path, patience=0.5).replace_month(CONTRACT, JANUARY, file)
        assert time.monotonic() - started < 20
    assert f"PID {holder}" in str(raised.value)
    assert str(path) in str(raised.value)
    assert "Fix: close the program that has the file open" in str(raised.value)


def test_waiting_for_a_locked_file_says_who_has_it_and_for_how_long_at_most(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = month_file(CONTRACT, JANUARY, [{"trip_number": 1}], tmp_path / "month")
    with held_by_another_process(path, seconds=5) as holder:
        assert DuckDBWarehouse(path, patience=60).replace_month(CONTRACT, JANUARY, file) == 1
    assert f"{path} is in use: waiting (" in caplog.text
    assert "of 60 s at most" in caplog.text
    assert f"PID {holder}" in caplog.text


def test_a_file_that_another_process_holds_may_be_free_later_and_one_that_is_no_database_will_not(
    path: Path, tmp_path: Path
) -> None:
    file = month_file(CONTRACT, JANUARY, [], tmp_path / "month")
    for use in (
        lambda warehouse: warehouse.replace_month(CONTRACT, JANUARY, file),
        lambda warehouse: warehouse.measure_month(CONTRACT, JANUARY),
    ):
        with held_by_another_process(path, seconds=60), pytest.raises(WarehouseError) as held:
            use(DuckDBWarehouse(path, patience=0.1))
        assert held.value.may_pass_later

    path.write_bytes(b"not a database, " * 1000)
    with pytest.raises(WarehouseError) as damaged:
        DuckDBWarehouse(path).replace_month(CONTRACT, JANUARY, file)
    assert not damaged.value.may_pass_later


def test_a_table_that_somebody_else_changes_at_the_same_time_may_be_free_later(path: Path, tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(path)
    file = month_file(CONTRACT, JANUARY, [{"trip_number": 1}], tmp_path / "month")
    warehouse.replace_month(CONTRACT, JANUARY, file)
    # Within one process two connections share the file, and the one that commits last is refused.
    with duckdb.connect(str(path), config=engine.settings(path.with_name(f"{path.name}.spill"))) as other:
        other.begin()
        other.execute("DELETE FROM taxi.probe_trips")
        with pytest.raises(WarehouseError, match="onflict") as raised:
            warehouse.replace_month(CONTRACT, JANUARY, file)
        other.rollback()
    assert raised.value.may_pass_later
    assert warehouse.replace_month(CONTRACT, JANUARY, file) == 1


def test_a_file_that_nobody_has_made_yet_has_no_columns(path: Path) -> None:
    assert DuckDBWarehouse(path).columns_of(CONTRACT) == frozenset()
    assert not path.exists()


def test_a_file_whose_footer_names_more_rows_than_are_written_changes_nothing(path: Path, tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(path)
    warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, [{"trip_number": 7}], tmp_path / "old"))
    file = month_file(CONTRACT, JANUARY, [{"trip_number": 1}], tmp_path / "new")
    assert file.rows == 1  # as the footer says; then the bytes become those of another month
    month_file(CONTRACT, JANUARY, [], file.path)
    with pytest.raises(WarehouseError, match="probe 2021-01: the store wrote 0 rows of 1; the table is as it was"):
        warehouse.replace_month(CONTRACT, JANUARY, file)
    assert warehouse.read_months(CONTRACT, [JANUARY]).column("trip_number").to_pylist() == [7]


@pytest.mark.parametrize("content", [b"not a database, " * 1000, b"short"])
def test_a_file_that_is_no_database_is_refused_at_once_whatever_its_path(tmp_path: Path, content: bytes) -> None:
    # "lock" in the path once made every failure to open the file look like one worth ten minutes of waiting.
    path = tmp_path / "block-14" / "padlock.duckdb"
    path.parent.mkdir()
    path.write_bytes(content)
    file = month_file(CONTRACT, JANUARY, [], tmp_path / "month")
    started = time.monotonic()

    with pytest.raises(WarehouseError, match="cannot be opened"):
        DuckDBWarehouse(path).replace_month(CONTRACT, JANUARY, file)

    assert time.monotonic() - started < 20
    assert path.read_bytes() == content


def test_a_file_this_very_process_has_open_is_a_clear_error(path: Path, tmp_path: Path) -> None:
    file = month_file(CONTRACT, JANUARY, [], tmp_path / "month")
    with (
        duckdb.connect(str(path)),
        pytest.raises(WarehouseError, match=r"cannot be opened.*different configuration"),
    ):
        DuckDBWarehouse(path).replace_month(CONTRACT, JANUARY, file)


@pytest.mark.parametrize("name", ["plain", "with blank", "a#b c=d&e", "100%25", "Zürich 🚕", "it's"])
def test_a_path_may_hold_any_character(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / f"{name}.duckdb"
    file = month_file(CONTRACT, JANUARY, [{"trip_number": 1}], tmp_path / f"{name}.parquet")

    warehouse = open_warehouse(f"duckdb:///{path}")

    assert warehouse.replace_month(CONTRACT, JANUARY, file) == 1
    assert warehouse.read_months(CONTRACT, [JANUARY]).num_rows == 1
    assert path.is_file()
    assert sorted(it.name for it in tmp_path.iterdir()) == sorted([name, f"{name}.parquet"])


def test_three_slashes_name_a_path_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = month_file(CONTRACT, JANUARY, [], tmp_path / "month")
    open_warehouse("duckdb:///sub/warehouse.duckdb").replace_month(CONTRACT, JANUARY, file)
    assert (tmp_path / "sub" / "warehouse.duckdb").is_file()
