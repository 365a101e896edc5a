"""The checks that warn: what each notices, the figures it gives to judge it by, and that the month still arrives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_parquet_month
from taxi_platform.judged_again import evaluations_of, is_judged, judge_again
from taxi_platform.resources import LakeResource, WorkspaceResource
from taxi_platform_tests.assets.months import trips, write_green
from taxi_platform_tests.assets.platform import ALL_PASS, Platform, check_of, checks_of, figures_of, steps_of

MONTH = "2021-01"
GREEN = load_catalog().trips["green"]
#: The month with the fewest rows in TLC's catalogue, and how many.
APRIL, APRIL_ROWS = Month(2020, 4), 35_644


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def platform(tmp_path: Path, source: Path) -> Platform:
    return Platform(tmp_path / "data", source=str(source))


#: Of a generated month with as many trips as TLC's: its fares are not those of TLC's report, and that is said.
GENERATED = {"agrees_with_tlc_report": False}


def warned(
    result: dg.ExecuteInProcessResult, name: str, others: Mapping[str, bool] = ALL_PASS
) -> tuple[str, dict[str, Any]]:
    """What a check said that alone warned, in a run that went all the way."""
    assert checks_of(result) == {**others, name: False}
    assert steps_of(result)[-2:] == ["warehouse__green_trips", "check_warehouse_green_trips"]
    found = check_of(result, name)
    assert found.severity is dg.AssetCheckSeverity.WARN
    return str(found.description), figures_of(found)


def passed(
    result: dg.ExecuteInProcessResult, name: str, others: Mapping[str, bool] = ALL_PASS
) -> tuple[str, dict[str, Any]]:
    """What a check said in a run nothing was wrong with."""
    assert checks_of(result) == others
    found = check_of(result, name)
    return str(found.description), figures_of(found)


def test_codes_the_contract_does_not_explain_are_counted_and_shown(platform: Platform, source: Path) -> None:
    write_green(source, trips({}, {"payment_type": "", "store_and_fwd_flag": ""}))
    said, figures = passed(platform.run("green_trips_job", MONTH), "known_codes_only")
    assert said == "5 columns hold known codes only"  # a value that is missing is no unknown code
    assert set(figures.values()) == {0}

    strange = [{"payment_type": "9"}, {"payment_type": "8"}, {"store_and_fwd_flag": "?"}]
    write_green(source, trips({}, *strange))
    said, figures = warned(platform.run("green_trips_job", MONTH), "known_codes_only")

    assert said.startswith("store_and_fwd_flag: 1 rows (?), payment_type: 2 rows (")
    assert "8" in said
    assert "9" in said
    assert figures == {
        "vendor_id, rows with unknown codes": 0,
        "rate_code_id, rows with unknown codes": 0,
        "store_and_fwd_flag, rows with unknown codes": 1,
        "payment_type, rows with unknown codes": 2,
        "trip_type, rows with unknown codes": 0,
    }
    assert platform.table("green", MONTH).num_rows == 4


def test_a_few_pickups_in_another_month_are_usual_and_many_are_not(platform: Platform, source: Path) -> None:
    stray = {"lpep_pickup_datetime": "2008-12-31 23:59:59"}
    write_green(source, trips(*[{}] * 999, stray))
    said, figures = passed(platform.run("green_trips_job", MONTH), "pickups_inside_month")
    assert said == "1 of 1,000 pickups (0.100%) are in another month"
    assert figures == {"pickups outside the month": 1, "share": 0.001, "usual share": 0.001}

    write_green(source, trips(*[{}] * 997, stray, {"lpep_pickup_datetime": "2021-02-01 00:00:00"}))
    said, figures = warned(platform.run("green_trips_job", MONTH), "pickups_inside_month")
    assert said == "2 of 999 pickups (0.200%) are in another month"
    assert figures == {"pickups outside the month": 2, "share": 2 / 999, "usual share": 0.001}


def test_more_rejected_rows_than_in_the_months_before_are_noticed(platform: Platform, source: Path) -> None:
    write_green(source, in_month(trips(*[{}] * 99, {"passenger_count": "0"}), "2020-12"), "2020-12")
    said, figures = passed(platform.run("green_trips_job", "2020-12"), "rejects_within_expectation")
    assert said == "1.000% rejected; no month near it to compare with"
    assert figures == {"share rejected": 0.01, "months compared with": 0}

    write_green(source, trips(*[{}] * 97, *[{"passenger_count": "0"}] * 3))
    said, figures = passed(platform.run("green_trips_job", MONTH), "rejects_within_expectation")
    assert said == "3.000% rejected, against 1.000% in the 1 months before"

    write_green(source, trips(*[{}] * 96, *[{"passenger_count": "0"}] * 4))
    said, figures = warned(platform.run("green_trips_job", MONTH), "rejects_within_expectation")
    assert said == "4.000% rejected, against 1.000% in the 1 months before: turned away by zero_passengers 4"
    assert figures == {"share rejected": 0.04, "months compared with": 1, "usual share": 0.01}
    assert platform.table("green", MONTH).num_rows == 96


def in_month(rows: list[dict[str, str]], month: str) -> list[dict[str, str]]:
    """The same trips in another month."""
    return [
        {name: value.replace("2021-01", month) if "datetime" in name else value for name, value in row.items()}
        for row in rows
    ]


def test_a_month_of_another_size_than_those_before_it_is_noticed(platform: Platform, source: Path) -> None:
    def run(month: str, rows: int) -> dg.ExecuteInProcessResult:
        write_green(source, in_month(trips(*[{}] * rows), month), month)
        return platform.run("green_trips_job", month)

    said, figures = passed(run("2019-12", 500), "row_count_in_trend")
    assert said == "not judged: 500 rows; no month near it to compare with"
    assert figures == {"rows": 500, "months compared with": 0, "judged": False}
    # A year and a month later, the first is no measure any more.
    assert passed(run("2021-01", 10), "row_count_in_trend")[1]["months compared with"] == 0

    said, _ = passed(run("2021-02", 20), "row_count_in_trend")
    assert said == "20 rows, against 10 in the 1 months before"
    said, figures = warned(run("2021-02", 21), "row_count_in_trend")
    assert said == "21 rows, against 10 in the 1 months before"
    assert figures == {"rows": 21, "months compared with": 1, "usual rows": 10}

    run("2021-02", 11)
    run("2021-03", 12)
    said, _ = warned(run("2021-04", 4), "row_count_in_trend")
    assert said == "4 rows, against 11 in the 3 months before"
    assert platform.table("green", "2021-04").num_rows == 4


def test_a_damaged_month_is_no_measure_for_those_after_it(platform: Platform, source: Path) -> None:
    for month in ("2020-11", "2020-12"):
        write_green(source, in_month(trips({}, {}), month), month)
        platform.run("green_trips_job", month)
    platform.parquet("cleaned", "green", "2020-12").path.write_bytes(b"PAR1, once")
    (platform.data_dir / "lake" / "_quarantine" / "green" / "2020-12.parquet").write_bytes(b"PAR1, once")
    write_green(source, trips({}, {}))
    assert passed(platform.run("green_trips_job", MONTH), "row_count_in_trend")[1]["months compared with"] == 1


def test_a_parquet_month_is_compared_with_the_catalogue_of_what_tlc_published(platform: Platform, source: Path) -> None:
    source.mkdir()
    path = source / f"green_tripdata_{APRIL}.parquet"
    write_parquet_month(GREEN, APRIL, APRIL_ROWS, path)
    others = ALL_PASS | GENERATED
    said, figures = passed(platform.run("green_trips_job", str(APRIL)), "row_count_as_published", others)
    assert said == "35,644 rows, 35,644 in TLC's catalogue"
    assert figures == {"rows": APRIL_ROWS, "rows in the catalogue": APRIL_ROWS, "difference": 0}

    write_parquet_month(GREEN, APRIL, APRIL_ROWS - 100, path)
    said, figures = warned(platform.run("green_trips_job", str(APRIL)), "row_count_as_published", others)
    assert said == "35,544 rows, 35,644 in TLC's catalogue"
    assert figures["difference"] == -100


@pytest.mark.parametrize(
    ("month", "edition", "why"),
    [("2025-01", "parquet", "the catalogue does not have the month"), (MONTH, "csv", "the CSV edition is not in it")],
)
def test_a_month_the_catalogue_does_not_have_is_not_compared_with_it(
    platform: Platform, source: Path, month: str, edition: str, why: str
) -> None:
    if edition == "csv":
        write_green(source, trips({}))
    else:
        source.mkdir()
        write_parquet_month(GREEN, Month.parse(month), 50, source / f"green_tripdata_{month}.parquet")
    said, figures = passed(platform.run("green_trips_job", month), "row_count_as_published")
    assert said == f"not judged: nothing to compare with: {why}"
    assert figures == {"rows": 1 if edition == "csv" else 50, "judged": False}


def test_a_backfill_newest_first_stops_at_a_month_that_lost_nearly_all_of_its_rows(
    platform: Platform, source: Path
) -> None:
    for month, rows in (("2021-04", 300), ("2021-03", 300), ("2021-02", 3), ("2021-01", 300)):
        write_green(source, in_month(trips(*[{}] * rows), month), month)
        result = platform.run("green_trips_job", month, succeeds=rows > 3)
        if rows == 3:
            found = check_of(result, "month_has_not_shrunk")
            assert not found.passed
            assert "3 rows in the source file against 300 in the lesser of the months beside it" in str(
                found.description
            )
    assert not platform.in_lake("green", "2021-02").path.exists()


def test_what_had_nothing_to_be_compared_with_is_judged_again_by_the_months_that_came_later(
    platform: Platform, source: Path
) -> None:
    contract, workspace = platform.catalog.trips["green"], WorkspaceResource(data_dir=str(platform.data_dir))
    lake = LakeResource(url=str(platform.data_dir / "lake"), cache_dir=str(platform.data_dir / ".lake"))
    runs = dict[str, dg.ExecuteInProcessResult]()
    for month, rows in (("2021-03", 40), ("2021-02", 100), ("2021-01", 100)):  # newest first
        write_green(source, in_month(trips(*[{}] * rows), month), month)
        runs[month] = platform.run("green_trips_job", month)
    assert not is_judged(check_of(runs["2021-03"], "row_count_in_trend"))

    checks = evaluations_of(platform.instance, runs["2021-03"].run_id)
    again = judge_again(platform.instance, workspace, lake, contract, Month(2021, 3), checks)
    (found,) = (it for it in again if it.check_name == "row_count_in_trend")
    assert (found.passed, found.partition) == (False, "2021-03")
    assert found.description == "40 rows, against 100 in the 2 months before"
    record = platform.instance.get_latest_asset_check_evaluation_record(found.asset_check_key)
    assert record and record.status.value == "FAILED"
    assert record.partition == "2021-03"
    assert len(again) == len(checks)
