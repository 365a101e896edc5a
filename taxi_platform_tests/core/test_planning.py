"""What months will take is reckoned by what months before took, and what a disk cannot take is refused."""

from pathlib import Path

import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import DiskFullError
from taxi_platform.core.planning import Past, Plan, PlannedMonth, Rates, bigquery_row_bytes
from taxi_platform_tests.disks import disk

SMALL = [Past(rows=20_000, raw=600_000, cleaned=400_000, seconds=2.0, edition="csv")] * 5


def month(key: str, rows: int = 1_000_000, here: frozenset[str] = frozenset()) -> PlannedMonth:
    return PlannedMonth(key, "missing", rows * 30, rows, "an estimate", here=here)


def test_without_a_past_what_was_measured_elsewhere_counts() -> None:
    assert Rates.learned_from([]) == Rates()


def test_bytes_and_seconds_are_those_of_the_months_before() -> None:
    rates = Rates.learned_from(SMALL)
    assert (rates.csv, rates.cleaned, rates.months) == (30.0, 20.0, 5)
    assert rates.least_seconds + rates.seconds * 20_000 == pytest.approx(2.0)
    assert rates.parquet == Rates().parquet  # of which there was none


def test_large_months_say_what_a_row_takes_and_small_ones_what_a_month_does() -> None:
    large = [Past(rows=10_000_000, raw=1, cleaned=1, seconds=31.0, edition="csv")] * 3
    rates = Rates.learned_from([*SMALL, *large])
    assert rates.seconds == pytest.approx(3e-6, rel=0.02)
    assert 0.9 < rates.least_seconds < 2.0


def test_how_long_months_took_to_begin_counts_for_those_that_were_queued() -> None:
    queued = Past(rows=20_000, raw=600_000, cleaned=400_000, seconds=2.0, edition="csv", start=3.5)
    assert Rates.learned_from(SMALL).start == Rates().start
    assert Rates.learned_from([*SMALL, queued]).start == 3.5


def test_months_of_no_rows_teach_nothing() -> None:
    empty = Past(rows=0, raw=10, cleaned=10, seconds=1.0, edition="csv")
    assert Rates.learned_from([empty]) == Rates()


def test_two_at_once_take_half_as_long_but_no_less_than_the_largest(tmp_path: Path) -> None:
    small, large = [month(f"2020-{it:02d}", 20_000) for it in range(1, 13)], month("2021-01", 20_000_000)
    one, two = (Plan("green", small, Rates(), width, {}) for width in (1, 2))
    assert 0.5 < two.seconds / one.seconds < 0.6
    assert Plan("green", [large], Rates(), 8, {}).seconds > Rates().seconds * 20_000_000


def test_a_month_the_source_does_not_have_takes_nothing() -> None:
    absent = PlannedMonth("2020-01", "missing", None, None, "nobody")
    plan = Plan("green", [absent], Rates(), 2, {})
    assert (plan.bytes, plan.rows, plan.seconds) == (0, 0, 0.0)


def test_what_a_layer_holds_already_is_not_asked_of_its_disk_again(tmp_path: Path) -> None:
    folders = {"raw": tmp_path, "lake": tmp_path}
    fresh = Plan("green", [month("2020-01")], Rates(), 1, folders)
    again = Plan("green", [month("2020-01", here=frozenset({"raw", "lake"}))], Rates(), 1, folders)
    assert all(it.bytes > 0 for it in fresh.needs)
    assert all(it.bytes == 0 for it in again.needs)


def test_what_a_disk_cannot_take_is_refused_with_the_figures_of_every_layer_on_it(tmp_path: Path) -> None:
    with disk(tmp_path / "small", "64m") as small:
        folders = {"raw": small / "data", "cleaned": small / "data", "lake": small / "lake", "warehouse": tmp_path}
        Plan("green", [month("2020-01", 100_000)], Rates(), 1, folders).require_room()
        with pytest.raises(DiskFullError) as refused:
            Plan("green", [month("2020-01"), month("2020-02")], Rates(), 1, folders).require_room()
    assert refused.value.about == "green"
    assert refused.value.where == str(small)
    assert "are free" in str(refused.value.cause)
    assert all(layer in str(refused.value.cause) for layer in ("raw", "cleaned", "lake"))
    assert "warehouse" not in str(refused.value.cause)  # which is on another disk


def test_a_row_in_bigquery_has_the_bytes_of_its_columns() -> None:
    contract = load_catalog().trips["green"]
    assert bigquery_row_bytes(contract) == 8 * len(contract.table_columns)
