"""An error of DuckDB is told as what it is; each of these is one that DuckDB really raised."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from taxi_platform.core import engine
from taxi_platform.core.engine_errors import explained, is_mistake, may_pass_later

DISK = "room"


def raised(act: Callable[[], object]) -> duckdb.Error:
    with pytest.raises(duckdb.Error) as caught:
        act()
    return caught.value


def told(error: duckdb.Error) -> str:
    return str(explained(error, "green 2021-01"))


def test_a_query_that_duckdb_refuses_is_a_mistake_of_the_platform_and_not_a_full_disk() -> None:
    deep = f"SELECT {' + '.join(['x'] * 2_000)} FROM (SELECT 1 AS x)"
    for query in (deep, "SELEC 1", "SELECT nothing", "SELECT 1 FROM nowhere", "SELECT 'a' + DATE '2021-01-01' + []"):
        error = raised(lambda query=query: duckdb.execute(query).fetchall())
        assert is_mistake(error), query
        assert "DuckDB refused a query of the platform. Cause: a mistake in the platform" in told(error)
        assert DISK not in told(error)


def test_memory_that_is_used_up_is_told_as_memory(tmp_path: Path) -> None:
    with engine.connect(tmp_path) as con:
        con.execute("SET memory_limit = '1MB'")
        con.execute("SET temp_directory = ''")
        error = raised(lambda: con.execute("SELECT list(range) FROM range(10_000_000)").fetchall())
    assert isinstance(error, duckdb.OutOfMemoryException)
    assert told(error).startswith("green 2021-01: the memory a run may take is used up. Cause: ")
    assert DISK not in told(error)


def test_a_spill_that_has_no_room_left_is_told_as_a_full_disk(tmp_path: Path) -> None:
    with engine.connect(tmp_path) as con:
        con.execute("SET memory_limit = '20MB'")
        con.execute("SET max_temp_directory_size = '1MB'")
        error = raised(lambda: con.execute("SELECT range, random() FROM range(10_000_000) ORDER BY 2").fetchall())
    assert told(error).startswith("green 2021-01: the disk is full. Cause: ")
    assert DISK in told(error)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_disk_that_takes_no_byte_more_is_told_as_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "full.csv").symlink_to("/dev/full")
    error = raised(lambda: duckdb.sql(f"COPY (FROM range(1_000_000)) TO '{tmp_path}/full.csv' (USE_TMP_FILE false)"))
    assert told(error).startswith("green 2021-01: the disk is full. Cause: ")


def test_a_file_that_is_not_there_is_told_by_its_name_and_not_as_a_full_disk(tmp_path: Path) -> None:
    error = raised(lambda: duckdb.sql(f"FROM read_parquet('{tmp_path}/gone.parquet')"))
    assert told(error).startswith("green 2021-01: a file could not be read or written. Cause: ")
    assert "gone.parquet" in told(error)
    assert DISK not in told(error)


def test_a_database_that_another_process_holds_may_be_free_later(tmp_path: Path) -> None:
    path = tmp_path / "held.duckdb"
    holding = f"import duckdb; con = duckdb.connect({str(path)!r}); print('here', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout and other.stdin
        other.stdout.readline()
        error = raised(lambda: duckdb.connect(str(path)))
        other.stdin.write("\n")
    assert told(error).startswith("green 2021-01: another process holds the file. Cause: ")
    assert explained(error, "").may_pass_later


def test_a_file_that_duckdb_cannot_open_as_too_many_are_open_may_be_read_later(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("a\n1\n")
    with duckdb.connect() as con:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            with pytest.raises(duckdb.IOException, match="Too many open files") as refused:
                con.execute(f"SELECT * FROM read_csv('{tmp_path}/file.csv')").fetchall()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    found = explained(refused.value, "green 2020-04")
    assert found.may_pass_later
    assert "ulimit -n" in str(found)


@pytest.mark.parametrize(
    ("said", "may_pass"),
    [
        ('IO Error: Cannot open file "/share/w": Stale file handle', True),
        ('IO Error: Could not read from file "/share/w": Transport endpoint is not connected', True),
        ('IO Error: Could not read from file "/share/w": Input/output error', False),
        ('IO Error: Cannot open file "/Connection refused": No such file or directory', False),
    ],
)
def test_what_the_system_says_in_duckdbs_words_passes_or_not_as_it_does_elsewhere(said: str, may_pass: bool) -> None:
    assert may_pass_later(duckdb.IOException(said)) is may_pass


@pytest.mark.parametrize(
    "query", ["SELECT 'abc'::INTEGER", "SELECT 1e300::INTEGER", "FROM read_parquet('{path}')", "SELECT error('?')"]
)
def test_what_cannot_be_read_is_told_of_the_file(query: str, tmp_path: Path) -> None:
    path = tmp_path / "no.parquet"
    path.write_bytes(b"this is no Parquet file at all")
    error = raised(lambda: duckdb.execute(query.format(path=path)).fetchall())
    assert told(error).startswith(
        "green 2021-01: the file holds something that cannot be read. Cause: the file is damaged"
    )
    assert not is_mistake(error)


def test_a_table_that_changed_under_a_writer_may_be_written_later(tmp_path: Path) -> None:
    con = duckdb.connect(str(tmp_path / "both.duckdb"))
    con.execute("CREATE TABLE t AS SELECT 1 AS x")
    one, other = con.cursor(), con.cursor()
    one.execute("BEGIN")
    other.execute("BEGIN")
    one.execute("UPDATE t SET x = 2")
    error = raised(lambda: other.execute("UPDATE t SET x = 3"))
    con.close()
    assert explained(error, "").may_pass_later
    assert "somebody else changed the table at the same time" in told(error)


def test_a_value_of_megabytes_in_an_error_is_cut() -> None:
    error = raised(lambda: duckdb.execute("SELECT ?::INTEGER", ["9" * 3_000_000 + "\x00x"]).fetchall())
    assert len(told(error)) < 1_500


def test_every_class_of_duckdb_has_a_meaning_and_only_a_disk_that_is_full_is_told_as_one() -> None:
    def classes(of: type[duckdb.Error]) -> list[type[duckdb.Error]]:
        return [of, *(it for sub in of.__subclasses__() for it in classes(sub))]

    for kind in classes(duckdb.Error):
        error = explained(kind("something"), "green 2021-01")
        assert error.cause and error.fix
        assert DISK not in str(error), kind
        assert "DuckDB says: something" in str(error)
