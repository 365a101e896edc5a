"""A rule's action can be set for one run; a wrong name stops the run before it starts."""

from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from taxi_platform_tests.assets.platform import Platform

MONTH = "2021-01"


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path / "data")


def with_rules(**rules: str) -> dict[str, Any]:
    return {"ops": {"clean_green_trips": {"config": {"rules": rules}}}}


def test_run_config_sets_the_action_of_a_rule_for_that_run_only(platform: Platform) -> None:
    platform.run("green_trips_job", MONTH)
    usual = passengers(platform.table("green", MONTH))
    assert usual[None] > 0
    assert usual[0] == 0

    platform.run("green_trips_job", MONTH, config=with_rules(missing_passengers="reject", zero_passengers="warn"))
    changed = passengers(platform.table("green", MONTH))
    assert changed[None] == 0
    assert changed[0] > 0
    assert platform.in_lake("green", MONTH).lineage.rules["missing_passengers"] == "reject"

    platform.run("green_trips_job", MONTH)
    assert passengers(platform.table("green", MONTH)) == usual


def test_a_rule_that_is_off_is_not_counted(platform: Platform) -> None:
    platform.run("green_to_lake_job", MONTH, config=with_rules(zero_passengers="off", unreadable="off"))
    assert platform.parquet("cleaned", "green", MONTH).rows == platform.sample_rows
    assert platform.parquet("quarantine", "green", MONTH).lineage.rules["zero_passengers"] == "off"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"zero_passenger": "warn"}, 'unexpected config entry "zero_passenger"'),
        ({"zero_passengers": "drop"}, "not in enum type reject, warn, off got drop"),
    ],
    ids=["unknown rule", "unknown action"],
)
def test_a_wrong_rule_or_action_is_named_and_stops_the_run_before_any_step(
    platform: Platform, rules: dict[str, str], said: str
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError) as raised:
        platform.run("green_trips_job", MONTH, config=with_rules(**rules))
    assert said in str(raised.value)
    assert "config:rules" in str(raised.value)
    assert "zero_passengers" in str(raised.value)
    assert platform.instance.get_runs_count() == 0
    assert platform.files() == []


def passengers(table: pa.Table) -> Counter[int | None]:
    return Counter(table.column("passenger_count").to_pylist())
