"""Which store a URL is: equal for equal places, another for others, and never a secret."""

from pathlib import Path

import pytest

from taxi_platform.core.warehouse.identity import store_of


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("postgresql://taxi:one@db/trips", "postgresql://taxi:two@db/trips", True),  # a password that was changed
        ("postgresql://taxi:one@db/trips", "postgres://somebody@db:5432/trips?sslmode=require", True),
        ("postgresql://taxi@db/trips", "postgresql://taxi@DB/trips", True),
        ("postgresql://taxi@db/trips", "postgresql:///trips?host=db&user=taxi", True),
        ("postgresql://taxi@db/trips", "postgresql://taxi@db/other", False),
        ("postgresql://taxi@db/trips", "postgresql://taxi@db2/trips", False),
        ("postgresql://taxi@db/trips", "postgresql://taxi@db:5433/trips", False),
        ("postgresql://taxi@db", "postgresql://somebody@db", False),  # the database is named like the user
        ("postgresql://taxi@db1,db2/trips", "postgresql://taxi@db1:5432,db2:5432/trips", True),
        ("postgresql://taxi@db1,db2/trips", "postgresql://taxi@db3,db4/trips", False),
        ("postgresql://taxi@db1:5433,db2/trips", "postgresql://taxi@db1,db2:5433/trips", False),
        ("postgresql://db/trips?hostaddr=10.0.0.1", "postgresql://db/trips?hostaddr=10.0.0.2", False),
        ("bigquery://project/one", "bigquery://project/one?location=EU", True),
        ("bigquery://project/one", "bigquery://project/two", False),
        ("bigquery://project/one", "bigquery://other/one", False),
        ("duckdb:////a/w.duckdb", "duckdb:////a/../a/w.duckdb", True),
        ("duckdb:////a/w.duckdb", "duckdb:////b/w.duckdb", False),
        ("duckdb:////a/w.duckdb", " duckdb:////a/w.duckdb ", True),
    ],
)
def test_a_store_is_the_place_and_not_who_logs_in_or_how(url: str, other: str, same: bool) -> None:
    assert (store_of(url) == store_of(other)) is same


def test_another_server_in_the_environment_is_another_store_of_a_url_that_names_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = set[str]()
    for host, database in (("db1", "trips"), ("db2", "trips"), ("db2", "other")):
        monkeypatch.setenv("PGHOST", host)
        monkeypatch.setenv("PGDATABASE", database)
        names.add(store_of("postgresql://"))
        assert store_of("postgresql://taxi@db/trips") == "postgresql:db:5432/trips"
    assert len(names) == 3


def test_a_file_reached_by_another_name_is_the_same_store(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert store_of(f"duckdb:///{tmp_path}/real/w.duckdb") == store_of(f"duckdb:///{tmp_path}/link/w.duckdb")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://taxi:hunter2@db.example.com:5432/trips",
        "postgresql://taxi@db.example.com/trips?password=hunter2",
        "postgresql://taxi:hun/ter2@db.example.com/trips",
        "postgresql://taxi:hun@ter2@db.example.com/trips",
        "postgresql://taxi:hun%zzter2@db.example.com/trips",
        "postgresql://taxi:hunter2?@db.example.com/trips",
        "postgresql://taxi:hunter2#@db.example.com/trips",
        "bigquery://me:hunter2@project/dataset",
        "mysql://taxi:hunter2@db/trips",
        "hunter2",
    ],
)
def test_the_name_of_a_store_holds_no_four_characters_of_a_password(url: str) -> None:
    name = store_of(url)
    for start in range(len("hunter2") - 3):
        assert "hunter2"[start : start + 4] not in name
    assert "ter2" not in name
