"""A path is used as it is written, or refused at the start with the reason."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from taxi_platform.core import engine
from taxi_platform.core.paths import (
    LONGEST_FOLDER,
    LONGEST_HOME,
    why_no_dagster_home,
    why_no_database,
    why_no_database_file,
    why_no_folder,
)
from taxi_platform.core.urls import duckdb_path, local_path

STRANGE = [
    "a*b",
    "a[b]c",
    "**",
    "a%20b",
    "a#b",
    "a b ",
    "it's",
    'a"b',
    "añ日本",
    "a\nb",
    "f9=77",
    "{a,b}",
    "$HOME",
    "a:b",
]


def deep(length: int) -> Path:
    """An absolute path of so many bytes, whose names are of a length that file systems take."""
    path = ("/" + "x" * 99) * (length // 100 + 1)
    return Path(path[: length - 1] + "y")


@pytest.mark.parametrize("name", STRANGE)
def test_what_only_looks_strange_is_no_reason(name: str) -> None:
    for why_not in (why_no_folder, why_no_database, why_no_dagster_home):
        assert why_not(Path("/srv", name)) is None


@pytest.mark.parametrize("name", [*STRANGE, "a\\b", "a?b"])
def test_duckdb_reads_and_writes_files_below_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    path = folder / "x.parquet"
    con = engine.connect(tmp_path)
    con.execute(f"COPY (SELECT 1 AS f9) TO {engine.literal(str(path))} (FORMAT parquet)")

    assert [it.name for it in folder.iterdir()] == ["x.parquet"]
    assert con.sql(f"SELECT * FROM {engine.parquet(path)}").fetchall() == [(1,)]


@pytest.mark.parametrize("name", [*STRANGE, "a\\b", "a?b"])
def test_a_database_is_made_where_it_was_said_or_the_place_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "taxi.duckdb"
    path.parent.mkdir()
    try:
        with duckdb.connect(str(path)) as con:
            con.execute("CREATE TABLE made AS SELECT 1")
    except duckdb.Error:
        assert why_no_database(path) is not None
    else:
        assert path.exists()
        assert why_no_database(path) is None


@pytest.mark.parametrize(("name", "words"), [("a\\b", "for a /"), ("a?b", "for parameters")])
def test_where_duckdb_would_look_for_a_database_elsewhere_none_is_kept(name: str, words: str) -> None:
    assert words in (why_no_database(Path("/srv", name, "taxi.duckdb")) or "")
    assert why_no_folder(Path("/srv", name)) is None


@pytest.mark.parametrize("why_not", [why_no_folder, why_no_database, why_no_dagster_home])
@pytest.mark.parametrize(
    ("path", "words"),
    [
        (deep(LONGEST_FOLDER + 1), "3,701 bytes long"),
        (Path("/srv", "x" * 256), "a name in its path is 256 bytes"),
        (Path("/srv", "日" * 86), "a name in its path is 258 bytes"),
        (Path(os.fsdecode(b"/srv/a\xffb")), "not written in UTF-8"),
        (Path("/srv/a\0b"), "NUL"),
    ],
)
def test_what_no_file_system_or_no_log_can_hold_is_refused(
    why_not: Callable[[Path], str | None], path: Path, words: str
) -> None:
    told = str(why_not(path))
    assert words in told or "bytes long" in told


def test_a_folder_just_short_enough_holds_the_files_of_dagster(tmp_path: Path) -> None:
    """SQLite itself says where its limit is."""
    root = len(os.fsencode(tmp_path))
    for length, fits in ((LONGEST_HOME, True), (LONGEST_HOME + 1, False)):
        home = Path(str(tmp_path) + str(deep(length - root)))
        runs = home / "history" / "runs"
        runs.mkdir(parents=True)
        assert len(os.fsencode(home)) == length
        assert (why_no_dagster_home(home) is None) is fits
        database = runs / f"{'0' * 36}.db"
        try:
            with sqlite3.connect(database) as con:
                con.execute("CREATE TABLE made (it)")
            con.close()
        except sqlite3.OperationalError:
            assert not fits
        else:
            assert fits


def test_the_journal_of_a_database_has_a_name_as_well() -> None:
    assert why_no_database_file(Path("/srv", "x" * 251)) is None
    assert "256 bytes" in str(why_no_database_file(Path("/srv", "x" * 252)))


def test_a_question_mark_is_not_for_the_databases_of_dagster() -> None:
    assert "parameters" in str(why_no_dagster_home(Path("/srv/a?b")))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a%3Fb%23c%20d%5Ce", Path("/a?b#c d\\e")),
        ("file:///a[b", Path("/a[b")),
        ("file:///a?b", None),
        ("file:///a#b", None),
        ("file://elsewhere/a", None),
        ("file://", None),
        ("file:///a%ffb", Path(os.fsdecode(b"/a\xffb"))),
    ],
)
def test_a_file_url_names_the_path_it_spells_or_none(url: str, path: Path | None) -> None:
    assert local_path(url) == path


def test_a_duckdb_url_names_the_path_as_it_is_written() -> None:
    assert duckdb_path("duckdb:////srv/a#b%20c?d.duckdb") == Path("/srv/a#b%20c?d.duckdb")
    assert duckdb_path("duckdb:///w.duckdb") == Path.cwd() / "w.duckdb"
    assert duckdb_path("duckdb://relative/w.duckdb") is None
    assert duckdb_path("postgresql:///w") is None
