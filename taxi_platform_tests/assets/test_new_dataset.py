"""Adding a dataset is adding one YAML file: nothing else, and its whole chain runs on generated months."""

from pathlib import Path

import yaml

from taxi_platform.core.catalog import load_catalog
from taxi_platform_tests.assets.platform import Platform, checks_of

CONTRACT = {
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
    "layouts": [{"since": "2020-03", "format": "csv", "header": ["Begin", "passenger_count", "fare_amount"]}],
}


def test_a_dataset_added_as_one_file_runs_its_whole_chain(tmp_path: Path) -> None:
    path = tmp_path / "pedicab.yaml"
    path.write_text(yaml.safe_dump(CONTRACT, sort_keys=False))
    platform = Platform(tmp_path / "data", sample_rows=500, catalog=load_catalog(path))

    jobs = {job.name for job in platform.defs.resolve_all_job_defs()}
    assert {"pedicab_trips_job", "pedicab_to_lake_job", "pedicab_to_warehouse_job"} <= jobs

    result = platform.run("pedicab_trips_job", "2020-05")

    assert checks_of(result) == {"rows_are_conserved": True, "table_matches_lake": True}
    turned_away = platform.parquet("quarantine", "pedicab", "2020-05").rows
    assert 20 < turned_away < 100
    assert platform.sql("SELECT count(*), sum(fare_amount) FROM taxi.pedicab_trips") == [
        (500 - turned_away, 20.5 * (500 - turned_away))
    ]
    assert platform.in_lake("pedicab", "2020-05").rows == 500 - turned_away
    platform.run("green_trips_job", "2021-01")  # the others are still there
