"""The table of every dataset has a view beside it that names the zones of its trips."""

from pathlib import Path

import dagster as dg
import pytest

from taxi_platform_tests.assets.months import trips, write_green
from taxi_platform_tests.assets.platform import ALL_PASS, Platform, check_of, checks_of

MONTH = "2021-01"
DATASETS = ["yellow", "green", "fhv", "fhvhv"]
ENDS = ("pickup", "dropoff")


def test_every_dataset_has_its_zones_named_before_and_after_they_are_loaded(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data", sample_rows=300)
    for dataset in DATASETS:
        platform.run(f"{dataset}_trips_job", MONTH)
        rows = platform.table(dataset, MONTH).num_rows
        counted = f"SELECT count(*), count(pickup_zone), count(dropoff_zone) FROM taxi.{dataset}_trips_with_zones"
        assert platform.sql(counted) == [(rows, 0, 0)]
    with pytest.raises(dg.Failure, match="taxi_zones"):
        platform.defs.load_asset_value(["reference", "taxi_zones"], instance=platform.instance)

    platform.run("taxi_zones_job")

    for dataset in DATASETS:
        for end in ENDS:
            wrong = f"""
                SELECT count(*) FROM taxi.{dataset}_trips_with_zones AS trips
                LEFT JOIN taxi.taxi_zones AS zones ON zones.location_id = trips.{end}_location_id
                WHERE (zones.zone, zones.borough, zones.service_zone)
                    IS DISTINCT FROM ({end}_zone, {end}_borough, {end}_service_zone)
            """
            assert platform.sql(wrong) == [(0,)], (dataset, end)
        named, located, rows = platform.sql(
            f"SELECT count(pickup_zone), count(pickup_location_id), count(*) FROM taxi.{dataset}_trips_with_zones"
        )[0]
        assert 0 < named == located <= rows == platform.table(dataset, MONTH).num_rows


def test_the_zones_may_come_first(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data", sample_rows=100)
    platform.run("taxi_zones_job")
    assert checks_of(platform.run("fhvhv_trips_job", MONTH)) == ALL_PASS
    assert platform.sql("SELECT count(*) = count(pickup_zone) FROM taxi.fhvhv_trips_with_zones") == [(True,)]
    assert platform.sql("SELECT count(*) FROM taxi.taxi_zones") == [(265,)]


def test_unknown_outside_and_missing_zones_are_named_as_the_lookup_names_them(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_green(
        source,
        trips(
            {"PULocationID": "264", "DOLocationID": "265"},
            {"PULocationID": "", "DOLocationID": "1"},
            {"PULocationID": "266", "DOLocationID": ""},
        ),
    )
    platform = Platform(tmp_path / "data", source=str(source))
    result = platform.run("green_trips_job", MONTH)
    # The folder source has no lookup; the one the sample source ships is the same.
    Platform(tmp_path / "data").run("taxi_zones_job")

    assert check_of(result, "table_matches_lake").passed
    names = "pickup_location_id, pickup_zone, dropoff_location_id, dropoff_zone, dropoff_borough"
    assert platform.sql(f"SELECT {names} FROM taxi.green_trips_with_zones ORDER BY pickup_datetime") == [
        (264, "N/A", 265, "Outside of NYC", "N/A"),
        (None, None, 1, "Newark Airport", "EWR"),
        (266, None, None, None, None),
    ]


def test_a_lookup_of_tlcs_shapefile_that_an_older_version_let_in_neither_adds_trips_nor_money(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data")
    platform.run("taxi_zones_job")
    # 56 stands in TLC's shapefile for 57, and 103 for 104 and 105, too.
    platform.sql("UPDATE taxi.taxi_zones SET location_id = 56 WHERE location_id = 57")
    platform.sql("UPDATE taxi.taxi_zones SET location_id = 103 WHERE location_id IN (104, 105)")

    source = tmp_path / "source"
    write_green(source, trips(*({"PULocationID": "103", "DOLocationID": str(56 + at % 2)} for at in range(200))))
    platform = Platform(tmp_path / "data", source=str(source))
    result = platform.run("green_trips_job", MONTH)

    in_table = platform.sql("SELECT count(*), sum(total_amount) FROM taxi.green_trips")
    assert in_table[0][0] == 200
    assert platform.sql("SELECT count(*), sum(total_amount) FROM taxi.green_trips_with_zones") == in_table
    assert check_of(result, "zone_view_matches_table").passed
    said = str(check_of(result, "zone_view_matches_table").description)
    assert "3 rows of the zone lookup repeat another's id: load the zones again" in said
