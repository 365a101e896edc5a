"""A month that is gone, or mostly gone, does not take the place of the one that is in the lake and the table."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_parquet_month
from taxi_platform_tests.assets.months import TRIP, trips, write_green
from taxi_platform_tests.assets.platform import ALL_PASS, Platform, check_of, checks_of, figures_of, steps_of

MONTH = "2021-01"
MEANT = {"ops": {"clean_green_trips": {"config": {"fewer_rows_are_meant": True}}}}
NOT_SHRUNK = "month_has_not_shrunk"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def platform(tmp_path: Path, source: Path) -> Platform:
    """A month of 40 rows in the lake and the table."""
    write_green(source, trips(*[{}] * 40))
    platform = Platform(tmp_path / "data", source=str(source))
    assert checks_of(platform.run("green_trips_job", MONTH)) == ALL_PASS
    return platform


def header_only(source: Path) -> None:
    source.mkdir(exist_ok=True)
    (source / f"green_tripdata_{MONTH}.csv").write_text(",".join(TRIP) + "\n")


def no_rows(source: Path) -> None:
    (source / f"green_tripdata_{MONTH}.csv").unlink()
    contract = load_catalog().trips["green"]
    write_parquet_month(contract, Month.parse(MONTH), 0, source / f"green_tripdata_{MONTH}.parquet")


def a_few(source: Path) -> None:
    write_green(source, trips(*[{}] * 19))


def many_of_which_few_can_be_read(source: Path) -> None:
    write_green(source, trips(*[{}] * 19, *[{"lpep_pickup_datetime": "05.01.2021 10:00"}] * 21))


def stopped(platform: Platform, **options: Any) -> dg.AssetCheckEvaluation:
    """Run the month; it must stop before the lake, and leave lake and table as they are."""
    in_lake = platform.in_lake("green", MONTH).sha256
    result = platform.run("green_trips_job", MONTH, succeeds=False, **options)
    assert steps_of(result)[-1] == "check_cleaned_green_trips"
    assert platform.in_lake("green", MONTH).sha256 == in_lake
    assert platform.table("green", MONTH).num_rows == 40
    found = check_of(result, NOT_SHRUNK)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    return found


@pytest.mark.parametrize("shrink", [header_only, no_rows, a_few, many_of_which_few_can_be_read])
def test_a_month_that_shrinks_stops_before_the_lake_however_often_it_is_run(
    platform: Platform, source: Path, shrink: Any
) -> None:
    shrink(source)

    for _ in range(3):  # the cleaned file has been replaced by then: it is the lake that is asked
        found = stopped(platform)
        assert "against 40 in" in str(found.description)
        assert "fewer_rows_are_meant: true" in str(found.description)
        assert figures_of(found)["rows cleaned in the lake"] == 40


def test_a_month_that_shrinks_is_measured_by_the_lake_on_a_machine_that_has_never_seen_it(
    platform: Platform, source: Path, tmp_path: Path
) -> None:
    header_only(source)
    other = Platform(tmp_path / "other", source=str(source), lake_url=str(platform.data_dir / "lake"))

    result = other.run("green_trips_job", MONTH, succeeds=False)

    assert "0 rows in the source file against 40" in str(check_of(result, NOT_SHRUNK).description)


def test_a_month_whose_full_file_comes_back_passes_again(platform: Platform, source: Path) -> None:
    a_few(source)
    stopped(platform)

    write_green(source, trips(*[{}] * 41))
    assert checks_of(platform.run("green_trips_job", MONTH)) == ALL_PASS
    assert platform.table("green", MONTH).num_rows == 41


def test_a_first_month_without_rows_stops_before_the_lake(tmp_path: Path, source: Path) -> None:
    header_only(source)
    platform = Platform(tmp_path / "data", source=str(source))

    result = platform.run("green_trips_job", MONTH, succeeds=False)

    assert str(check_of(result, NOT_SHRUNK).description).startswith("the source file has no rows. ")
    assert not platform.in_lake("green", MONTH).path.exists()
    assert not (platform.data_dir / "warehouse.duckdb").exists()


@pytest.mark.parametrize(("shrink", "left"), [(header_only, 0), (a_few, 19)])
def test_a_run_that_says_so_brings_a_month_that_shrank_to_the_table_and_the_next_run_need_not(
    platform: Platform, source: Path, shrink: Any, left: int
) -> None:
    shrink(source)

    result = platform.run("green_trips_job", MONTH, config=MEANT)
    assert checks_of(result)[NOT_SHRUNK]
    assert str(check_of(result, NOT_SHRUNK).description).endswith("the run was told that this is meant")
    assert platform.table("green", MONTH).num_rows == left
    assert platform.in_lake("green", MONTH).lineage.fewer_rows_are_meant

    assert platform.run("green_trips_job", MONTH).success
    assert platform.table("green", MONTH).num_rows == left


def test_a_damaged_object_in_the_lake_does_not_stop_the_run_that_mends_it(platform: Platform) -> None:
    platform.in_lake("green", MONTH).path.write_bytes(b"PAR1, once")
    assert checks_of(platform.run("green_trips_job", MONTH)) == ALL_PASS
    assert platform.in_lake("green", MONTH).rows == 40


def test_rules_of_the_run_that_turn_most_rows_away_are_no_shrinking_and_nothing_to_warn_of(
    platform: Platform, source: Path
) -> None:
    write_green(source, trips(*[{}] * 4, *[{"trip_distance": "0"}] * 36))
    rules = {"ops": {"clean_green_trips": {"config": {"rules": {"nonpositive_distance": "reject"}}}}}

    result = platform.run("green_trips_job", MONTH, config=rules)

    assert checks_of(result) == ALL_PASS
    assert platform.table("green", MONTH).num_rows == 4


def test_that_fewer_rows_are_meant_can_be_said_in_the_launchpad(platform: Platform) -> None:
    job = platform.defs.resolve_job_def("green_trips_job")
    fields = job.run_config_schema.config_type.fields["ops"].config_type.fields["clean_green_trips"]  # pyright: ignore
    config = fields.config_type.fields["config"].config_type.fields
    assert set(config) == {"rules", "fewer_rows_are_meant"}
    assert "less than half" in config["fewer_rows_are_meant"].description
    assert config["fewer_rows_are_meant"].default_value is False


def test_what_is_not_judged_is_said_so_in_the_check_its_figures_and_the_log(
    platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    result = platform.run("green_trips_job", MONTH)

    log = capfd.readouterr().err
    for name in ("row_count_in_trend", "row_count_as_published"):
        found = check_of(result, name)
        assert found.passed
        assert str(found.description).startswith("not judged: ")
        assert figures_of(found)["judged"] is False
        assert f"cleaned/green_trips: {name} {found.description}\n" in log
    assert "judged" not in figures_of(check_of(result, "rows_are_conserved"))


def test_most_rows_turned_away_in_a_first_month_are_told_with_their_column_a_sample_and_the_form(
    tmp_path: Path, source: Path
) -> None:
    write_green(source, trips({}, *[{"lpep_pickup_datetime": "12/18/2019 15:52"}] * 39))
    result = Platform(tmp_path / "data", source=str(source)).run("green_trips_job", MONTH)

    found = check_of(result, "rejects_within_expectation")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "97.500% rejected" in str(found.description)
    assert (
        "pickup_datetime (published as lpep_pickup_datetime): 39 values are not a time as YYYY-MM-DD HH:MM:SS, "
        "such as '12/18/2019 15:52' in row 2"
    ) in str(found.description)
