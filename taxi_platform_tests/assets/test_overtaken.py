"""Two runs of one month at once, and the month published again between: what was checked is what is stored."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from taxi_platform_tests.assets.months import trips, write_green
from taxi_platform_tests.assets.platform import Platform
from taxi_platform_tests.faults.held import held_run
from taxi_platform_tests.faults.points import BETWEEN_PUBLICATIONS
from taxi_platform_tests.faults.tracer import CALL, RETURN, Point, Spot

MONTH = "2021-01"
OLD_ROWS, NEW_ROWS = 20, 14
REPLACED = f"green {MONTH}: another run replaced the month while this one was working"
SCANNING = Point("before the raw file is scanned", Spot("taxi_platform.core.cleaning.stage", "fill_stage", CALL))
CLEANED = Point("cleaned, not published", Spot("taxi_platform.core.cleaning.clean", "clean", RETURN))
CHECKING = Point("the check's rows read", Spot("taxi_platform.core.findings", "rows_are_conserved", CALL))
TO_LAKE = Point("checked, not in the lake", Spot("taxi_platform.io_managers.lake", "LakeIOManager.handle_output", CALL))
TO_TABLE = Point(
    "in the lake, not in the table",
    Spot("taxi_platform.io_managers.warehouse", "WarehouseIOManager.handle_output", CALL),
)
LOADED = Point("loaded, not checked", Spot("taxi_platform.core.findings", "table_matches_lake", CALL))


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A month is published, and nobody has run it."""
    publish(tmp_path, OLD_ROWS)
    return Platform(tmp_path / "data", source=str(tmp_path / "source"))


def publish(folder: Path, rows: int) -> None:
    write_green(folder / "source", trips(*({} for _ in range(rows))), MONTH)


def publish_again(platform: Platform) -> None:
    publish(platform.data_dir.parent, NEW_ROWS)


def rows_everywhere(platform: Platform) -> dict[str, int]:
    """What each store holds of the month, and the two figures of one cleaning."""
    cleaned, quarantine = (platform.parquet(layer, "green", MONTH) for layer in ("cleaned", "quarantine"))
    assert cleaned.lineage == quarantine.lineage
    assert platform.in_lake("green", MONTH).sha256 == cleaned.sha256
    return {
        "cleaned": cleaned.rows,
        "lake": platform.in_lake("green", MONTH).rows,
        "table": platform.table("green", MONTH).num_rows,
    }


ALL_NEW = dict.fromkeys(("cleaned", "lake", "table"), NEW_ROWS)


@pytest.mark.parametrize(
    "point",
    [
        CLEANED,
        TO_LAKE,
        TO_TABLE,
        *(pytest.param(it, marks=pytest.mark.campaign) for it in (SCANNING, CHECKING, LOADED)),
    ],
    ids=lambda it: it.name,
)
def test_an_older_run_stores_nothing_more_once_a_newer_one_has_replaced_the_month(
    platform: Platform, point: Point
) -> None:
    with held_run(platform, MONTH, point) as older:
        publish_again(platform)
        platform.run("green_trips_job", MONTH)
        outcome = older.go_on()

    assert not outcome["succeeded"]
    assert REPLACED in outcome["failure"]
    assert "Fix: run it again" in outcome["failure"]
    assert rows_everywhere(platform) == ALL_NEW


@pytest.mark.parametrize(
    "point",
    [CHECKING, *(pytest.param(it, marks=pytest.mark.campaign) for it in (TO_LAKE, TO_TABLE))],
    ids=lambda it: it.name,
)
def test_a_newer_run_that_has_checked_its_rows_ends_with_those_whatever_an_older_one_does_meanwhile(
    platform: Platform, point: Point
) -> None:
    with held_run(platform, MONTH, CLEANED) as older:
        publish_again(platform)
        with held_run(platform, MONTH, point) as newer:
            assert REPLACED in older.go_on()["failure"]
            assert newer.go_on() == {"succeeded": True, "failure": ""}

    assert rows_everywhere(platform) == ALL_NEW


def test_an_older_run_that_may_try_again_ends_with_the_newer_rows_by_itself(platform: Platform) -> None:
    with held_run(platform, MONTH, CLEANED, retries=1) as older:
        publish_again(platform)
        platform.run("green_trips_job", MONTH)
        assert older.go_on() == {"succeeded": True, "failure": ""}

    assert rows_everywhere(platform) == ALL_NEW


def test_a_run_takes_no_rows_that_another_one_has_cleaned_of_the_same_file_by_other_rules(platform: Platform) -> None:
    with held_run(platform, MONTH, TO_LAKE) as first:
        platform.run("green_trips_job", MONTH, config=by_other_rules())
        assert REPLACED in first.go_on()["failure"]

    rules = platform.in_lake("green", MONTH).lineage.rules
    assert rules["duplicate_row"] == "reject"
    assert rows_everywhere(platform)["table"] == OLD_ROWS


def test_a_run_that_was_overtaken_by_one_with_other_rules_does_not_clean_over_it(platform: Platform) -> None:
    with held_run(platform, MONTH, CLEANED) as first:
        platform.run("green_trips_job", MONTH, config=by_other_rules())
        assert REPLACED in first.go_on()["failure"]

    assert platform.parquet("cleaned", "green", MONTH).lineage.rules["duplicate_row"] == "reject"


@pytest.mark.campaign
def test_two_runs_of_one_file_by_one_set_of_rules_do_not_disturb_each_other(platform: Platform) -> None:
    with held_run(platform, MONTH, TO_LAKE) as first:
        platform.run("green_trips_job", MONTH)
        assert first.go_on() == {"succeeded": True, "failure": ""}

    assert rows_everywhere(platform) == dict.fromkeys(ALL_NEW, OLD_ROWS)


def test_the_two_files_of_a_cleaning_come_to_their_places_without_another_run_between(platform: Platform) -> None:
    with (
        held_run(platform, MONTH, BETWEEN_PUBLICATIONS) as first,
        held_run(platform, MONTH, CLEANED, config=by_other_rules()) as second,
        ThreadPoolExecutor() as threads,
    ):
        overtaken = threads.submit(second.go_on)  # it waits for the first one's second file
        assert first.go_on() == {"succeeded": True, "failure": ""}
        assert REPLACED in overtaken.result()["failure"]

    assert rows_everywhere(platform) == dict.fromkeys(ALL_NEW, OLD_ROWS)


@pytest.mark.campaign
def test_a_newer_file_replaces_what_an_older_run_has_published_since_it_began(platform: Platform) -> None:
    with held_run(platform, MONTH, CLEANED) as older:
        publish_again(platform)
        with held_run(platform, MONTH, SCANNING):  # killed: the newer file is here, and nobody has cleaned it
            assert REPLACED in older.go_on()["failure"]
    platform.run("green_trips_job", MONTH)

    assert rows_everywhere(platform) == ALL_NEW


def by_other_rules() -> dict[str, Any]:
    return {"ops": {"clean_green_trips": {"config": {"rules": {"duplicate_row": "reject"}}}}}
