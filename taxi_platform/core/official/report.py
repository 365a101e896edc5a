"""What TLC reports of each month: trips and money per day, by licence class.

What is shipped here is TLC's monthly report (`data_reports_monthly.csv`), byte for byte as it was in spring 2022. TLC
counts what its meters and bases told it, month by month, apart from the trip files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import pyarrow as pa

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.reference import read_reference_text
from taxi_platform.core.source.elsewhere import ELSEWHERE, MONTHLY_REPORT

#: The table it is loaded into, the file it is, and where TLC publishes that.
TABLE, FILE = "tlc_monthly_report", MONTHLY_REPORT
REPORT_URL = ELSEWHERE[FILE]

_HIGH_VOLUME = "FHV - High Volume"
_OTHER_FHV = ("FHV - Black Car", "FHV - Livery", "FHV - Lux Limo")
#: From this month on trips of high volume services have files of their own, and their other classes are not those of
#: the bases in the fhv files any more: up to 20 % of the trips stand under another class.
FILES_PARTED = Month(2019, 2)


@dataclass(frozen=True)
class Reported:
    """What TLC reports of a month of one dataset.

    Attributes:
        days: Days of the month.
        trips_per_day: Rounded to a whole number for each licence class.
        classes: How many licence classes those are.
        farebox_per_day: Dollars per day of fares, surcharges, taxes and tolls, without tips by card (`money.py`); None
            where the report has none.
    """

    days: int
    trips_per_day: int
    classes: int = 1
    farebox_per_day: int | None = None

    @property
    def trips(self) -> int:
        """Trips of the month, as near as whole trips per day tell."""
        return self.trips_per_day * self.days

    @property
    def rounding(self) -> float:
        """How many trips, or dollars, of a month the rounding hides at most."""
        return 0.5 * self.days * self.classes


@dataclass(frozen=True)
class Report:
    """TLC's monthly report.

    Attributes:
        rows: (licence class, month key) -> trips per day, and dollars per day where there are any.
        source: Where it is from, to people.
    """

    rows: Mapping[tuple[str, str], tuple[int, int | None]]
    source: str = REPORT_URL

    @property
    def last(self) -> str:
        """The key of the last month it is of."""
        return max((month for _, month in self.rows), default="")

    def of(self, dataset: str, month: Month) -> Reported | None:
        """What it says of a month of a dataset; None if it says nothing that the month's file can be held against."""
        found = [self.rows.get((it, str(month))) for it in _classes_of(dataset, month)]
        said = [it for it in found if it is not None]
        if not said or len(said) < len(found):
            return None
        money = [dollars for _, dollars in said if dollars is not None]
        return Reported(month.days, sum(trips for trips, _ in said), len(said), sum(money) if money else None)


def report_of(table: pa.Table, source: str = REPORT_URL) -> Report:
    """The report whose rows are those of the table `tlc_monthly_report`.

    Args:
        table: The rows.
        source: Where they are from, to people.
    """
    names = ("report_month", "license_class", "trips_per_day", "farebox_per_day")
    months, classes, trips, money = (table[name].to_pylist() for name in names)
    rows = {
        (str(name).strip(), f"{month:%Y-%m}"): (count, dollars)
        for month, name, count, dollars in zip(months, classes, trips, money, strict=True)
        if count is not None
    }
    return Report(rows, source)


@cache
def shipped_report() -> Report:
    """The report as it was in spring 2022: January 2010 to March 2022."""
    text = (resources.files("taxi_platform.core.official") / FILE).read_text(encoding="utf-8")
    return report_of(
        read_reference_text(load_catalog().reports[TABLE], text, FILE), f"{REPORT_URL}, as it was in spring 2022"
    )


def _classes_of(dataset: str, month: Month) -> tuple[str, ...]:
    """The licence classes whose trips a month's file holds together."""
    if dataset == "fhv":
        return (*_OTHER_FHV, _HIGH_VOLUME) if month < FILES_PARTED else ()
    return {"yellow": ("Yellow",), "green": ("Green",), "fhvhv": (_HIGH_VOLUME,)}.get(dataset, ())
