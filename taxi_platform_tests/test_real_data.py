"""Real months, byte for byte as TLC published them; skipped where the folder beside the project is not there."""

from pathlib import Path

import pyarrow.compute as pc
import pytest

from taxi_platform_tests.assets.platform import ALL_PASS, Platform, check_of, checks_of, figures_of, metadata_of

TRIPS = Path(__file__).parents[2] / "shared" / "data" / "trips"

pytestmark = pytest.mark.skipif(not TRIPS.is_dir(), reason=f"no real months at {TRIPS}")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path / "data", source=str(TRIPS))


def test_november_2020_of_green_has_the_rows_it_is_known_to_have(platform: Platform) -> None:
    result = platform.run("green_trips_job", "2020-11")

    assert checks_of(result) == ALL_PASS
    assert metadata_of(result, "raw", "green_trips")["dagster/partition_row_count"] == 88_605
    assert platform.table("green", "2020-11").num_rows == 88_413
    turned_away = platform.load("quarantine", "green", "2020-11")
    assert ["zero_passengers" in rules for rules in turned_away["broken_rules"]] == [True] * 192
    assert "| `zero_passengers` | reject | 192 | 0 |" in metadata_of(result, "cleaned", "green_trips")["rules"]


def test_the_last_quarter_of_2020_under_the_rules_of_the_course_has_139_370_rows(platform: Platform) -> None:
    rules = dict.fromkeys(["missing_passengers", "zero_passengers", "nonpositive_distance"], "reject")
    config = {"ops": {"clean_green_trips": {"config": {"rules": rules}}}}
    months = ["2020-10", "2020-11", "2020-12"]
    for month in months:
        platform.run("green_trips_job", month, config=config)
    assert platform.table("green", *months).num_rows == 139_370
    assert platform.sql("SELECT count(*) FROM taxi.green_trips") == [(139_370,)]


@pytest.mark.parametrize(
    ("month", "rows"),
    [("2020-04", 35_644), ("2021-01", 76_518), ("2023-01", 68_211), ("2023-03", 72_044), ("2024-01", 56_551)],
)
def test_a_parquet_month_has_as_many_rows_as_tlcs_catalogue_says(tmp_path: Path, month: str, rows: int) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / f"green_tripdata_{month}.parquet").symlink_to(TRIPS / f"green_tripdata_{month}.parquet")
    platform = Platform(tmp_path / "data", source=str(source))

    result = platform.run("green_trips_job", month)

    assert checks_of(result) == ALL_PASS
    found = check_of(result, "row_count_as_published")
    assert found.description == f"{rows:,} rows, {rows:,} in TLC's catalogue"
    assert figures_of(found) == {"rows": rows, "rows in the catalogue": rows, "difference": 0}
    turned_away = platform.parquet("quarantine", "green", month).rows
    assert platform.sql("SELECT count(*) FROM taxi.green_trips") == [(rows - turned_away,)]


def test_a_month_after_the_catalogues_last_has_nothing_to_be_compared_with(platform: Platform) -> None:
    result = platform.run("green_trips_job", "2025-01")
    assert checks_of(result) == ALL_PASS
    assert check_of(result, "row_count_as_published").description == (
        "not judged: nothing to compare with: the catalogue does not have the month"
    )


def test_the_collapse_of_spring_2020_is_noticed_and_the_months_are_loaded_all_the_same(platform: Platform) -> None:
    assert checks_of(platform.run("green_trips_job", "2020-03")) == ALL_PASS
    result = platform.run("green_trips_job", "2020-04")
    assert checks_of(result) == ALL_PASS | {"row_count_in_trend": False}
    assert check_of(result, "row_count_in_trend").description == "35,612 rows, against 223,406 in the 1 months before"
    assert platform.table("green", "2020-03", "2020-04").num_rows == 223_406 - 294 + 35_612 - 132


def test_the_other_edition_of_a_month_replaces_the_first_and_no_row_of_it_is_left(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    platform = Platform(tmp_path / "data", source=str(source))
    editions = [TRIPS / "green_tripdata_2020-04.csv.gz", TRIPS / "green_tripdata_2020-04.parquet"]

    for path, rows in zip(editions, (35_612, 35_644), strict=True):
        for old in source.iterdir():
            old.unlink()
        (source / path.name).symlink_to(path)
        result = platform.run("green_trips_job", "2020-04")
        assert checks_of(result) == ALL_PASS
        assert metadata_of(result, "raw", "green_trips")["dagster/partition_row_count"] == rows
        compared = str(check_of(result, "row_count_as_published").description)
        assert ("the CSV edition is not in it" in compared) is (path.suffix == ".gz")
        told = metadata_of(result, "cleaned", "green_trips")["moved by this replay"]
        assert told.startswith("nothing to compare with: another file")
        assert platform.sql("SELECT count(*), count(DISTINCT source_month) FROM taxi.green_trips") == [(rows - 132, 1)]
        kept = [it.name for it in platform.raw_folder("green", "2020-04").iterdir() if it.suffix != ".lock"]
        assert sorted(kept) == sorted([path.name, "provenance.json"])
        assert metadata_of(result, "warehouse", "green_trips")["edition"] == path.suffix.strip(".").replace("gz", "csv")


def test_the_fee_that_came_in_2025_is_in_the_table_beside_months_that_did_not_have_it(platform: Platform) -> None:
    for month in ("2024-01", "2025-01"):
        platform.run("green_trips_job", month)
    before, after = (platform.table("green", month).column("cbd_congestion_fee") for month in ("2024-01", "2025-01"))
    assert before.null_count == len(before) == 56_551 - 512
    assert after.null_count < len(after) == 48_326 - 647
    assert pc.max(after).as_py() == 0.75
