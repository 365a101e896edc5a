"""What the bases of for-hire vehicles reported of each month, as TLC added it up (NYC Open Data 2v9c-2k7f).

Trips of the high volume services stand under the company (UBER, LYFT, VIA, JUNO), all others under the licence number
of the base, in small letters here and there. Until January 2019 the fhv files hold both.
Measured against the rows of TLC's Parquet: of fhvhv every month from 2019-02 to 2022-03 within 0.02 %; of fhv those
from 2018 on within 2.2 % but for 2019-01 (7.9 % too few), those before within 5.2 % but for 2015-05 (29 % more).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import Column, ColumnType, ReferenceContract, TripContract
from taxi_platform.core.engine import identifier, literal
from taxi_platform.core.month import Month
from taxi_platform.core.official.report import FILES_PARTED
from taxi_platform.core.official.verdict import Judgement, Verdict, weigh
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.reference import Made, read_reference_file
from taxi_platform.core.source.files import RawFile

#: The table's name.
TABLE = "fhv_base_report"

_YEAR, _MONTH = (
    Column(name=name, type=ColumnType.INT32, description=f"The {name} that is reported.", required=True)
    for name in ("year", "month")
)
#: Columns that say who dispatched a trip: by the licence of the company, where a dataset has it, else by the base's.
_COMPANY, _BASE = "hvfhs_license_num", "dispatching_base_num"
#: A base is named if it has this share of the month's trips, and differs by more than that share of its own.
_LARGE, _OFF = 0.005, 0.05
#: A base of this share of the month's trips that has less than a quarter of them in the file is lost, as a vendor is.
_SMALL, _NEXT_TO_NONE = 0.02, 0.25
_NAMED = 5


def read_base_report(contract: ReferenceContract, raw: RawFile) -> pa.Table:
    """The report's rows; its months are published as a year and a month.

    Raises:
        TaxiPlatformError: The file is not what the contract says.
    """
    return read_reference_file(contract, raw, {"report_month": Made((_YEAR, _MONTH), _first_days)})


def reported_by_base(dataset: str, month: Month, report: pa.Table) -> dict[str, int]:
    """Trips that are reported of a month of a dataset, by base or company; none where the report has none.

    Args:
        dataset: `fhv` or `fhvhv`; others have no bases.
        month: The month.
        report: The rows of the table `fhv_base_report`, of this month at least.
    """
    trips: dict[str, int] = {}
    for row in report.to_pylist():
        if row["report_month"] == month.first_day:
            name = str(row["base_number"]).strip().upper()
            trips[name] = trips.get(name, 0) + (row["dispatched_trips"] or 0)
    of_companies = {name: count for name, count in trips.items() if not name.startswith("B")}
    if dataset == "fhvhv":
        return of_companies if month >= FILES_PARTED else {}
    if dataset != "fhv":
        return {}
    return trips if month < FILES_PARTED else {it: trips[it] for it in trips.keys() - of_companies.keys()}


def trips_by_base(contract: TripContract, files: Sequence[ParquetFile], spill_to: Path) -> dict[str, int]:
    """Trips of a month's rows, by base or company as the report calls them; none of a dataset without bases."""
    names = {column.name: column for column in contract.columns}
    by = names.get(_COMPANY) or names.get(_BASE)
    if by is None:
        return {}
    paths = ", ".join(literal(str(it.path)) for it in files)
    query = (
        f"SELECT upper(trim({identifier(by.name)})) AS it, count(*) "
        f"FROM read_parquet([{paths}], union_by_name = true) GROUP BY it"
    )
    with engine.connect(spill_to) as con:
        found = con.execute(query).fetchall()
    called = {str(code).upper(): meaning.upper() for code, meaning in by.codes.items()}
    return {called.get(name or "", name or "no base"): count for name, count in found}


def judge_bases(dataset: str, month: Month, trips: Mapping[str, int], reported: Mapping[str, int]) -> Judgement | None:
    """Hold a month's trips, in all and by base, against the report of bases; None where that has none of the month.

    Args:
        dataset: The dataset.
        month: The month.
        trips: What `trips_by_base` gives.
        reported: What `reported_by_base` gives.
    """
    here, total = sum(trips.values()), sum(reported.values())
    if not total:
        return None
    difference, verdict = here - total, weigh(here, total, 0.0)
    told = f"{here:,} rows, {total:,} trips in the report of bases ({difference / total:+.2%})"
    if verdict is Verdict.UNJUDGED:
        return Judgement(verdict, f"{told}: an extract or a sample, which no report is of", here, total, difference)
    if dataset == "fhv" and month < FILES_PARTED:
        # The trips of companies stand under many bases of theirs, and which those are is not reported.
        reported = {name: count for name, count in reported.items() if name.startswith("B")}
    lost = [it for it, count in reported.items() if count > _SMALL * total and trips.get(it, 0) < _NEXT_TO_NONE * count]
    if lost and verdict is not Verdict.MORE:
        verdict = Verdict.LACKS
    says = f"{told}: {'they agree' if verdict is Verdict.AGREES else f'{verdict}, about {abs(difference):,}'}"
    off = _off(trips, reported, total)
    return Judgement(verdict, f"{says}; {off}" if off else says, here, total, difference, bool(lost))


def _off(trips: Mapping[str, int], reported: Mapping[str, int], total: int) -> str:
    """The bases that differ most, as the rest of a sentence; empty if there are none."""
    apart = {it: trips.get(it, 0) - count for it, count in reported.items()}
    named = [it for it, by in apart.items() if abs(by) > max(_OFF * reported[it], _LARGE * _OFF * total)]
    named = sorted((it for it in named if reported[it] > _LARGE * total), key=lambda it: -abs(apart[it]))
    more = f", and {len(named) - _NAMED} more bases" if len(named) > _NAMED else ""
    return ", ".join(f"{it} has {trips.get(it, 0):,} of {reported[it]:,}" for it in named[:_NAMED]) + more


def _first_days(years: pa.Array[Any], months: pa.Array[Any]) -> pa.Array[Any]:
    pairs: Iterable[Any] = zip(years.to_pylist(), months.to_pylist(), strict=True)
    return pa.array([date(year, month, 1) for year, month in pairs], pa.date32())
