"""What TLC reports of each month: trips and money per day, by licence class.

What is shipped here is TLC's monthly report (`data_reports_monthly.csv`), byte for byte as it was in spring 2022. TLC
counts what its meters and bases told it, month by month, apart from the trip files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from taxi_platform.core.catalog.model import normalized
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month

#: Where TLC publishes the report.
REPORT_URL = "https://www.nyc.gov/assets/tlc/downloads/csv/data_reports_monthly.csv"

_NAME = "data_reports_monthly.csv"
_HIGH_VOLUME = "FHV - High Volume"
_OTHER_FHV = ("FHV - Black Car", "FHV - Livery", "FHV - Lux Limo")
#: From this month on trips of high volume services have files of their own, and their other classes are not those of
#: the bases in the fhv files any more: up to 20 % of the trips stand under another class.
_FILES_PARTED = Month(2019, 2)
_COLUMNS = {"month": "Month/Year", "class": "License Class", "trips": "Trips Per Day", "money": "Farebox Per Day"}


@dataclass(frozen=True)
class Reported:
    """What TLC reports of a month of one dataset.

    Attributes:
        days: Days of the month.
        trips_per_day: Rounded to a whole number for each licence class.
        classes: How many licence classes those are.
        farebox_per_day: Dollars per day of fares, surcharges, taxes and tolls, without tips by card; None where the
            report has none.
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
        """How many trips of a month the rounding hides at most."""
        return 0.5 * self.days * self.classes


@dataclass(frozen=True)
class Report:
    """TLC's monthly report.

    Attributes:
        rows: (licence class, month key) -> trips per day, and dollars per day where there are any.
    """

    rows: Mapping[tuple[str, str], tuple[int, int | None]]

    def of(self, dataset: str, month: Month) -> Reported | None:
        """What it says of a month of a dataset; None if it says nothing that the month's file can be held against."""
        found = [self.rows.get((it, str(month))) for it in _classes_of(dataset, month)]
        said = [it for it in found if it is not None]
        if not said or len(said) < len(found):
            return None
        money = [dollars for _, dollars in said if dollars is not None]
        return Reported(month.days, sum(trips for trips, _ in said), len(said), sum(money) if money else None)


def read_report(text: str, url: str = REPORT_URL) -> Report:
    """Read the report as TLC publishes it: names padded with blanks, thousands separators, blanks for nothing.

    Args:
        text: The whole CSV.
        url: Where it is from, for the error.

    Raises:
        TaxiPlatformError: A column is missing, a value is no number, or a class has a month twice.
    """
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    header = [normalized(name) for name in next(lines, list[str]())]
    places: dict[str, int] = {}
    for key, name in _COLUMNS.items():
        if normalized(name) not in header:
            raise _unfit(url, f"it has no column {name!r}")
        places[key] = header.index(normalized(name))
    rows: dict[tuple[str, str], tuple[int, int | None]] = {}
    for number, line in enumerate(lines, start=2):
        fields = [field.strip() for field in line] + [""] * len(header)
        if not any(fields):
            continue
        trips, money = (_number(fields[places[key]], number, url) for key in ("trips", "money"))
        about = (fields[places["class"]], str(Month.parse(fields[places["month"]])))
        if about in rows:
            raise _unfit(url, f"line {number} is of {' '.join(about)}, and so is another")
        if trips is not None:
            rows[about] = (trips, money)
    return Report(rows)


@cache
def shipped_report() -> Report:
    """The report as it was in spring 2022: January 2010 to March 2022."""
    return read_report((resources.files("taxi_platform.core.official") / _NAME).read_text(encoding="utf-8"), _NAME)


def _classes_of(dataset: str, month: Month) -> tuple[str, ...]:
    """The licence classes whose trips a month's file holds together."""
    if dataset == "fhv":
        return (*_OTHER_FHV, _HIGH_VOLUME) if month < _FILES_PARTED else ()
    return {"yellow": ("Yellow",), "green": ("Green",), "fhvhv": (_HIGH_VOLUME,)}.get(dataset, ())


def _number(text: str, line: int, url: str) -> int | None:
    plain = text.replace(",", "")
    if plain in ("", "-"):
        return None
    if not (plain.isascii() and plain.isdigit()):
        raise _unfit(url, f"line {line} has {text[:40]!r} where a whole number is due")
    return int(plain)


def _unfit(url: str, cause: str) -> TaxiPlatformError:
    return TaxiPlatformError(
        "the file is not TLC's monthly report",
        about="tlc_monthly_report",
        where=url,
        cause=cause,
        fix="look at the file; if TLC changed its layout, report it",
    )
