"""TLC's reports, made up for the sample source: in the form they are published in, about generated months."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from taxi_platform.core.month import Month

#: The months they are about: reports that are the same wherever and whenever they are made.
_FIRST, _LAST = Month(2015, 1), Month(2024, 12)
#: Shares of the trips of a month by licence class, with the dollars per trip that the report has of taxis only.
_CLASSES = {
    "Yellow": (1.0, 17),
    "Green": (1.0, 15),
    "FHV - Black Car": (0.3, None),
    "FHV - Livery": (0.6, None),
    "FHV - Lux Limo": (0.1, None),
    "FHV - High Volume": (1.0, None),
}
#: Most of the generated trips of bases are of those with small numbers.
_BASES = 400
_COMPANIES = ("UBER", "LYFT", "VIA", "JUNO")


def monthly_report(rows: int) -> bytes:
    """A monthly report: padded names, separators of thousands, blanks for nothing.

    Args:
        rows: Trips of a month.
    """

    def line(month: Month, name: str, share: float, dollars: int | None) -> Sequence[str]:
        trips = round(share * rows / month.days)
        money = f"{trips * dollars:,}" if dollars else "    "
        share_by_card = "66%" if dollars else ""
        return (str(month), name, f"{trips:,}", money, "90", "80", "70", "20", "6", "20", "6", "15", share_by_card, "-")

    header = (
        "Month/Year,License Class,       Trips Per Day       ,      Farebox Per Day      ,       Unique Drivers       ,"
        "Unique Vehicles,Vehicles Per Day,Avg Days Vehicles on Road,Avg Hours Per Day Per Vehicle,"
        "Avg Days Drivers on Road,Avg Hours Per Day Per Driver,Avg Minutes Per Trip,"
        "Percent of Trips Paid with Credit Card,Trips Per Day Shared"
    )
    months = reversed(_FIRST.until(_LAST))
    return _text(header, (line(month, name, *of) for month in months for name, of in _CLASSES.items()))


def base_report(rows: int) -> bytes:
    """A report of bases: of each January, and of the high volume services each month.

    Args:
        rows: Trips of a month.
    """

    def lines() -> Iterator[Sequence[str]]:
        for month in _FIRST.until(_LAST):
            bases = [(f"B{it:05d}", f"SAMPLE BASE {it}, INC", "") for it in range(1, _BASES + 1)]
            companies = [(name, name, name) for name in _COMPANIES]
            for number, name, trade in (bases if month.number == 1 else []) + companies:
                trips = rows // (_BASES if number.startswith("B") else len(_COMPANIES))
                yield (number, name, trade, str(month.year), str(month.number), str(trips), "0", "10")

    header = (
        "Base License Number,Base Name,DBA,Year,Month,"
        "Total Dispatched Trips,Total Dispatched Shared Trips,Unique Dispatched Vehicles"
    )
    return _text(header, lines())


def _text(header: str, lines: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    text.write(f"{header}\r\n")
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()
