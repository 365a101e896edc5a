"""Adding a dataset is adding one YAML file: nothing else, and its whole chain runs on generated months."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from taxi_platform.core.catalog import load_catalog
from taxi_platform_tests.assets.platform import ALL_PASS, CHECKS, Platform, check_of, checks_of

CONTRACT: dict[str, Any] = {
    "kind": "trips",
    "dataset": "pedicab",
    "title": "Pedicab trips",
    "description": "Trips of three-wheelers.",
    "owner": "team:data-platform",
    "documentation": "https://example.com/pedicab.pdf",
    "first_month": "2020-03",
    "columns": [
        {
            "name": "pickup_datetime",
            "type": "timestamp",
            "description": "When it began.",
            "names": ["Begin"],
            "required": True,
            "sample": "month_start + to_seconds(floor(month_seconds * u(row, 'pickup'))::INT)",
        },
        {
            "name": "passenger_count",
            "type": "int32",
            "description": "Passengers.",
            "sample": "if(u(row, 'nobody') < 0.1, 0, 2)",
        },
        {"name": "fare_amount", "type": "float64", "description": "Fare.", "unit": "USD", "sample": "20.5"},
        {
            "name": "pickup_location_id",
            "type": "int32",
            "description": "Zone it began in.",
            "sample": "if(u(row, 'outside') < 0.5, 265, 1)",
        },
        {
            "name": "wheels",
            "type": "int32",
            "description": "How many it has.",
            "codes": {3: "three"},
            "sample": "if(u(row, 'training') < 0.1, 4, 3)",
        },
    ],
    "rules": [
        {"name": "unreadable", "condition": "unreadable", "action": "reject", "description": "Not readable."},
        {
            "name": "zero_passengers",
            "condition": "passenger_count = 0",
            "action": "reject",
            "description": "Nobody rode.",
        },
    ],
    "layouts": [
        {
            "since": "2020-03",
            "format": "csv",
            "header": ["Begin", "passenger_count", "fare_amount", "pickup_location_id", "wheels"],
        }
    ],
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The platform with a fifth dataset."""
    folder = tmp_path_factory.mktemp("platform")
    path = folder / "pedicab.yaml"
    path.write_text(yaml.safe_dump(CONTRACT, sort_keys=False))
    platform = Platform(folder / "data", sample_rows=500, catalog=load_catalog(path))
    assert len(platform.catalog.trips) == 5
    return platform


def test_a_dataset_added_as_one_file_has_its_assets_jobs_and_checks(platform: Platform) -> None:
    jobs = {job.name for job in platform.defs.resolve_all_job_defs()}
    assert {"pedicab_trips_job", "pedicab_to_lake_job", "pedicab_to_warehouse_job"} <= jobs

    graph = platform.defs.resolve_asset_graph()
    layers = {key.path[0] for key in graph.get_all_asset_keys() if key.path[-1] == "pedicab_trips"}
    assert layers == {"tlc", "raw", "cleaned", "quarantine", "lake", "warehouse"}
    checks = {
        (key.asset_key.path[0], key.name): graph.get(key).blocking
        for key in graph.asset_check_keys
        if key.asset_key.path[-1] == "pedicab_trips"
    }
    of_months = {(layer, name): blocks for layer, found in CHECKS.items() for name, blocks in found.items()}
    assert checks == of_months | {("raw", "newest_month_is_here"): False}


def test_a_dataset_added_as_one_file_runs_its_whole_chain(platform: Platform) -> None:
    result = platform.run("pedicab_trips_job", "2020-05")

    assert checks_of(result) == ALL_PASS | {"known_codes_only": False, "rejects_within_expectation": False}
    assert str(check_of(result, "known_codes_only").description).endswith("rows (4)")
    turned_away = platform.parquet("quarantine", "pedicab", "2020-05").rows
    assert 20 < turned_away < 100
    kept = 500 - turned_away
    assert platform.sql("SELECT count(*), sum(fare_amount) FROM taxi.pedicab_trips") == [(kept, 20.5 * kept)]
    assert platform.in_lake("pedicab", "2020-05").rows == kept

    platform.run("taxi_zones_job")
    view = "taxi.pedicab_trips_with_zones"
    assert platform.sql(f"SELECT DISTINCT pickup_zone FROM {view} ORDER BY ALL") == [
        ("Newark Airport",),
        ("Outside of NYC",),
    ]
    assert platform.sql(f"SELECT count(*) FROM {view}") == [(kept,)]
    assert not [name for (name, *_) in platform.sql(f"DESCRIBE {view}") if name.startswith("dropoff")]


def test_the_other_datasets_are_still_there(platform: Platform) -> None:
    assert checks_of(platform.run("green_trips_job", "2021-01")) == ALL_PASS


def test_a_dataset_without_zones_has_no_view_of_them(tmp_path: Path) -> None:
    columns = [column for column in CONTRACT["columns"] if column["name"] in ("pickup_datetime", "fare_amount")]
    layout = {"since": "2020-03", "format": "csv", "header": ["Begin", "fare_amount"]}
    path = tmp_path / "pedicab.yaml"
    path.write_text(
        yaml.safe_dump({**CONTRACT, "columns": columns, "rules": CONTRACT["rules"][:1], "layouts": [layout]})
    )
    platform = Platform(tmp_path / "data", sample_rows=50, catalog=load_catalog(path))
    assert checks_of(platform.run("pedicab_trips_job", "2020-05")) == ALL_PASS
    assert platform.sql("SELECT table_name FROM information_schema.tables") == [("pedicab_trips",)]
