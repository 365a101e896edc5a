"""Real months, byte for byte as TLC published them; skipped where the folder beside the project is not there."""

from pathlib import Path

import pyarrow.compute as pc
import pytest

from taxi_platform_tests.assets.platform import Platform, checks_of, metadata_of

TRIPS = Path(__file__).parents[2] / "shared" / "data" / "trips"

pytestmark = pytest.mark.skipif(not TRIPS.is_dir(), reason=f"no real months at {TRIPS}")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path / "data", source=str(TRIPS))


def test_november_2020_of_green_has_the_rows_it_is_known_to_have(platform: Platform) -> None:
    result = platform.run("green_trips_job", "2020-11")

    assert checks_of(result) == {"rows_are_conserved": True, "table_matches_lake": True}
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
        assert metadata_of(result, "raw", "green_trips")["dagster/partition_row_count"] == rows
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
