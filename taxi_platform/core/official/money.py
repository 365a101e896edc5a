"""The money of a month against TLC's report, which has it of yellow and green taxis.

What the farebox is, TLC says beside its charts of these figures: "Total amount, across all vehicles, collected from all
fares, surcharges, taxes, and tolls. Note: this amount does not include amounts from credit card tips" (tlcanalytics).
In the files that is the sum of `total_amount` less that of `tip_amount` where the trip was paid by card (`payment_type`
1, TLC's dictionary). Measured on green 2020-03, 04, 05, 10, 11, 12 and 2021-01: within 0.02 % of the report. Less all
tips it would be up to 5.7 % too little: of trips without a payment type, the report counts the tips in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.engine import literal
from taxi_platform.core.month import Month
from taxi_platform.core.official.report import Report
from taxi_platform.core.official.verdict import Judgement, Verdict, distance, weigh
from taxi_platform.core.parquet import ParquetFile

_SUMMED = ("total_amount", "tip_amount", "payment_type")
_BY_CARD = 1
_FAREBOX = f"""
    SELECT coalesce(sum(total_amount) FILTER (WHERE isfinite(total_amount)), 0)
         - coalesce(sum(tip_amount) FILTER (WHERE payment_type = {_BY_CARD} AND isfinite(tip_amount)), 0)
"""


def farebox(contract: TripContract, files: Sequence[ParquetFile], spill_to: Path) -> float | None:
    """Dollars of a month as TLC's report adds them up; None where the dataset does not have what is summed.

    Args:
        contract: The dataset's contract.
        files: The month's rows: those that were kept, and those that were turned away.
        spill_to: Folder for what does not fit into memory.
    """
    if not {*_SUMMED} <= {column.name for column in contract.columns}:
        return None
    paths = ", ".join(literal(str(it.path)) for it in files)
    with engine.connect(spill_to) as con:
        query = f"{_FAREBOX} FROM read_parquet([{paths}], union_by_name = true)"
        ((dollars,),) = con.execute(query).fetchall()
    return float(dollars)


def judge_money(dataset: str, month: Month, dollars: float, report: Report) -> Judgement | None:
    """Hold a month's money against TLC's report; None where that has none.

    Args:
        dataset: The dataset.
        month: The month.
        dollars: What `farebox` gives.
        report: TLC's report.
    """
    said = report.of(dataset, month)
    if said is None or not said.farebox_per_day:
        return None

    def per_day(other: Month) -> float | None:
        of_other = report.of(dataset, other)
        return of_other.farebox_per_day if of_other else None

    reported = said.farebox_per_day * said.days
    apart = (distance(it, month, per_day) for it in (said.farebox_per_day, dollars / said.days))
    verdict = weigh(dollars, reported, said.rounding, *apart)
    difference = round(dollars) - reported
    words = {
        Verdict.AGREES: "they agree",
        Verdict.LACKS: f"the file has about {-difference:,} USD too little",
        Verdict.MORE: f"the file has about {difference:,} USD too much",
        Verdict.REPORT: "the report looks wrong",
        Verdict.UNJUDGED: "an extract or a sample, which no report is of",
    }
    says = f"{dollars:,.0f} USD, {reported:,} USD in TLC's report ({difference / reported:+.2%}): {words[verdict]}"
    return Judgement(verdict, says, round(dollars), reported, difference)
