"""Where a month lacks trips, or has too many: the days, and the vendors, that are unlike the others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.engine import literal
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile

#: Shares of what is usual below and above which a day is named, and below which a vendor is. A holiday has more than
#: half the trips of its weekday.
_FEW, _MANY, _NEXT_TO_NONE = 0.5, 1.6, 0.25
#: A vendor below this share of the trips of other months is not looked for.
_SMALL = 0.02
_NAMED = 5
_NEAR_DAYS = 62


def whereabouts(
    contract: TripContract,
    month: Month,
    files: Sequence[ParquetFile],
    beside: Sequence[ParquetFile],
    spill_to: Path,
) -> str:
    """The days and vendors of a month that are unlike the others, as the rest of a sentence; empty if there are none.

    A day is held against the other days of its weekday, a vendor against its share in the months beside.

    Args:
        contract: The dataset's contract.
        month: The month.
        files: Its rows: those that were kept, and those that were turned away.
        beside: The rows of the months before and after it that are at hand.
        spill_to: Folder for what does not fit into memory.
    """
    days = "pickup_datetime::DATE"
    days_beside = _trips_by(days, beside, spill_to) if beside else {}
    told = list(_odd_days(month, _trips_by(days, files, spill_to), days_beside))
    if beside and any(column.name == "vendor_id" for column in contract.columns):
        here, there = (_trips_by("vendor_id", it, spill_to) for it in (files, beside))
        told += _lost_vendors(here, there)
    more = f", and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return ", ".join(told[:_NAMED]) + more


def _trips_by(what: str, files: Sequence[ParquetFile], spill_to: Path) -> dict[object, int]:
    paths = ", ".join(literal(str(it.path)) for it in files)
    rows = f"SELECT {what} AS it, count(*) FROM read_parquet([{paths}], union_by_name = true) GROUP BY it"
    with engine.connect(spill_to) as con:
        return {key: count for key, count in con.execute(rows).fetchall() if key is not None}


def _odd_days(month: Month, trips: dict[object, int], beside: dict[object, int]) -> list[str]:
    days = [date(month.year, month.number, number) for number in range(1, month.days + 1)]
    # Strays have dates of any year; the days of the months beside it are near.
    near = {it: count for it, count in beside.items() if isinstance(it, date) and abs((it - days[0]).days) < _NEAR_DAYS}
    known = near | {it: trips[it] for it in days if it in trips}
    told: list[str] = []
    for day in days:
        count = trips.get(day, 0)
        others = [known[it] for it in known if it != day and it.weekday() == day.weekday()]
        usual = median(others) if others else 0
        if count < _FEW * usual or (usual and count > _MANY * usual):
            told.append(f"{day} has {count:,} trips where {usual:,.0f} are usual")
    return told


def _lost_vendors(here: dict[object, int], there: dict[object, int]) -> list[str]:
    rows, others = sum(here.values()), sum(there.values())
    told: list[str] = []
    for vendor, count in sorted(there.items(), key=lambda it: -it[1]):
        if count > _SMALL * others and here.get(vendor, 0) < _NEXT_TO_NONE * count * rows / others:
            told.append(
                f"vendor {vendor} has {here.get(vendor, 0):,} trips where {count * rows / others:,.0f} are usual"
            )
    return told
