"""The money of a month against TLC's report, which adds it up without the tips by card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.month import Month
from taxi_platform.core.official.money import farebox, judge_money
from taxi_platform.core.official.report import Report, shipped_report
from taxi_platform.core.official.verdict import Verdict
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.cleaning.months import CATALOG, GREEN, REAL_DATA, YELLOW

MONTH = Month(2021, 3)


def reported(dollars: int | None, before: int = 1_000_000, after: int = 1_000_000) -> Report:
    told = {"2021-02": before, "2021-03": dollars, "2021-04": after}
    return Report({("Yellow", month): (100_000, it) for month, it in told.items()})


def planted(dollars: float, report: Report) -> tuple[Verdict, bool, str]:
    found = judge_money("yellow", MONTH, dollars, report)
    assert found is not None
    return found.verdict, found.is_near, found.says


@pytest.mark.parametrize(
    ("dollars", "verdict", "is_near", "words"),
    [
        (31_000_015, Verdict.AGREES, True, "31,000,015 USD, 31,000,000 USD in TLC's report (+0.00%): they agree"),
        (31_155_000, Verdict.AGREES, True, "they agree"),
        (31_155_001, Verdict.MORE, True, "about 155,001 USD too much"),
        (29_450_000, Verdict.LACKS, True, "about 1,550,000 USD too little"),
        (29_449_999, Verdict.LACKS, False, "about 1,550,001 USD too little"),
        (3_000, Verdict.UNJUDGED, True, "an extract or a sample"),
    ],
)
def test_money_is_held_against_the_report_by_the_same_bands_as_trips(
    dollars: float, verdict: Verdict, is_near: bool, words: str
) -> None:
    found = planted(dollars, reported(1_000_000))
    assert found[:2] == (verdict, is_near)
    assert words in found[2]


@pytest.mark.parametrize("wrong", [10_000_000, 100_000], ids=["a digit too many", "one too few"])
def test_a_report_of_money_that_fits_neither_its_neighbours_nor_the_file_is_named(wrong: int) -> None:
    assert planted(31_000_000, reported(wrong))[0] is Verdict.REPORT


def test_money_is_judged_only_where_the_report_has_any() -> None:
    assert judge_money("yellow", MONTH, 5.0, reported(None)) is None
    assert judge_money("fhvhv", Month(2022, 3), 5.0, shipped_report()) is None
    assert farebox(CATALOG.trips["fhv"], [], Path()) is None


def written(folder: Path, name: str, *trips: tuple[float | None, float | None, int | None]) -> ParquetFile:
    columns = dict(zip(("total_amount", "tip_amount", "payment_type"), zip(*trips, strict=True), strict=True))
    path, types = folder / f"{name}.parquet", {"payment_type": pa.int32()}
    pq.write_table(pa.table({it: pa.array(v, types.get(it, pa.float64())) for it, v in columns.items()}), path)
    return ParquetFile(path)


def test_tips_are_left_out_where_a_card_paid_and_every_row_of_the_file_counts(tmp_path: Path) -> None:
    kept = written(tmp_path, "kept", (12.0, 2.0, 1), (10.0, 1.0, 2), (20.0, 3.0, None), (None, None, 1))
    turned_away = written(tmp_path, "quarantine", (-4.0, 0.0, 4), (float("inf"), float("nan"), 1))
    assert farebox(YELLOW, [kept, turned_away], tmp_path / "spill") == 10.0 + 10.0 + 20.0 - 4.0


#: Dollars of whole real months over TLC's own, in hundredths of a percent.
REAL = {
    "2020-03.csv.gz": 1,
    "2020-04.csv.gz": 1,
    "2020-05.csv.gz": 0,
    "2020-10.csv.gz": 0,
    "2020-11.csv.gz": 0,
    "2020-12.csv.gz": 0,
    "2021-01.parquet": 2,
}


@pytest.mark.skipif(not REAL_DATA.exists(), reason="TLC's files are not beside the project")
def test_the_money_of_seven_real_months_is_the_reports_to_two_hundredths_of_a_percent(tmp_path: Path) -> None:
    apart: dict[str, Any] = {}
    for name in REAL:
        path, copy = REAL_DATA / "trips" / f"green_tripdata_{name}", tmp_path / f"{name}.parquet"
        read = f"read_csv('{path}', all_varchar = true)" if name.endswith("gz") else f"read_parquet('{path}')"
        typed = "total_amount::DOUBLE AS total_amount, tip_amount::DOUBLE AS tip_amount"
        duckdb.execute(f"COPY (SELECT {typed}, payment_type::DOUBLE AS payment_type FROM {read}) TO '{copy}'")
        dollars = farebox(GREEN, [ParquetFile(copy)], tmp_path / "spill")
        found = judge_money("green", Month.parse(name[:7]), dollars or 0.0, shipped_report())
        assert found is not None and found.verdict is Verdict.AGREES
        apart[name] = round(10_000 * found.share)
    assert apart == REAL
