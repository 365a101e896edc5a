"""Cleaning a month again under other rules: no download, and how many rows moved is told."""

from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform_tests.assets.months import trips, write_green
from taxi_platform_tests.assets.platform import ALL_PASS, Platform, checks_of, metadata_of

MONTH = "2021-01"
A_FIFTH_REJECTED = ALL_PASS | {"rejects_within_expectation": False}
NOTHING = "nothing to compare with: another file, or the first run"


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """Ten trips: two without passengers, three that stood still; one is both."""
    write_green(
        tmp_path / "source",
        trips(
            *[{}] * 6,
            {"passenger_count": "0"},
            {"passenger_count": "0", "trip_distance": "0"},
            {"trip_distance": "0"},
            {"trip_distance": "0"},
        ),
    )
    return Platform(tmp_path / "data", source=str(tmp_path / "source"))


def run(platform: Platform, **rules: str) -> dg.ExecuteInProcessResult:
    config: dict[str, Any] = {"ops": {"clean_green_trips": {"config": {"rules": rules}}}}
    return platform.run("green_trips_job", MONTH, config=config)


def moved(result: dg.ExecuteInProcessResult) -> str:
    told = {metadata_of(result, layer, "green_trips")["moved by this replay"] for layer in ("cleaned", "quarantine")}
    (text,) = told
    return text


def fetched_anew(result: dg.ExecuteInProcessResult) -> bool:
    return metadata_of(result, "raw", "green_trips")["fetched anew"]


def test_a_change_of_the_rules_takes_rows_back_without_a_download_and_says_how_many(
    platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    first = run(platform)
    assert (fetched_anew(first), moved(first)) == (True, NOTHING)
    assert platform.table("green", MONTH).num_rows == 8

    capfd.readouterr()
    taken_back = run(platform, zero_passengers="warn")
    assert (fetched_anew(taken_back), moved(taken_back)) == (
        False,
        "2 rows came back from the quarantine, 0 went into it",
    )
    said = "10 rows cleaned, 0 quarantined (nothing); 2 rows came back from the quarantine, 0 went into it"
    assert f"green {MONTH}: {said}" in capfd.readouterr().err
    assert platform.table("green", MONTH).num_rows == 10

    turned_away = run(platform, zero_passengers="warn", nonpositive_distance="reject")
    assert moved(turned_away) == "0 rows came back from the quarantine, 3 went into it"
    assert platform.table("green", MONTH).num_rows == 7

    # One row broke both rules: it was turned away before and still is, so it did not move.
    usual_again = run(platform)
    assert moved(usual_again) == "2 rows came back from the quarantine, 1 went into it"
    assert platform.table("green", MONTH).num_rows == 8
    for result in (first, taken_back, turned_away, usual_again):
        conserved = ("rows_are_conserved", "lake_matches_cleaned", "table_matches_lake")
        assert all(checks_of(result)[name] for name in conserved)


def test_a_run_that_changes_nothing_says_that_nothing_moved(platform: Platform) -> None:
    run(platform)
    again = run(platform)
    assert moved(again) == "0 rows came back from the quarantine, 0 went into it"
    assert checks_of(again) == A_FIFTH_REJECTED


def test_another_file_is_no_replay(platform: Platform, tmp_path: Path) -> None:
    run(platform)
    write_green(tmp_path / "source", trips(*[{}] * 5, {"passenger_count": "0"}))
    republished = run(platform)
    assert (fetched_anew(republished), moved(republished)) == (True, NOTHING)
    assert platform.table("green", MONTH).num_rows == 5


def test_a_quarantine_somebody_deleted_is_nothing_to_compare_with(platform: Platform) -> None:
    run(platform)
    platform.parquet("quarantine", "green", MONTH).path.unlink()
    assert moved(run(platform)) == NOTHING


@pytest.mark.parametrize("damage", ["cut", "not the platform's"])
def test_a_damaged_quarantine_does_not_stop_the_run_that_mends_it(platform: Platform, damage: str) -> None:
    run(platform)
    path = platform.parquet("quarantine", "green", MONTH).path
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        pq.write_table(pa.table({"row_number": [1]}), path)
    mended = run(platform)
    assert moved(mended) == NOTHING
    assert checks_of(mended) == A_FIFTH_REJECTED
