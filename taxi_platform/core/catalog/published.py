"""How many rows TLC's own Parquet files had, by TLC's catalogue of January 2009 to May 2024, and as counted since.

TLC replaces files now and then, so another count is worth a look, not an error. Later months are counted where they
lie, by the footers of their files (`core/official/counting.py`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from taxi_platform.core.month import Month

#: Where TLC publishes the files its catalogue is of. Elsewhere a file of the same name may be an extract.
TLC_FILES = "https://d37ci6vzurychx.cloudfront.net/"
#: (dataset, month key) -> rows.
Counts = Mapping[tuple[str, str], int]
#: Nothing was counted since.
NOTHING: Counts = MappingProxyType({})


def is_of_the_catalogue(edition: str, url: str) -> bool:
    """Whether a file is one of those the catalogue counts: TLC's own Parquet, and no extract of the same name."""
    return edition == "parquet" and url.startswith(TLC_FILES)


def published_rows(dataset: str, month: Month, counted: Counts = NOTHING) -> int | None:
    """Rows of a month's Parquet file; None where nobody has told.

    Args:
        dataset: The dataset.
        month: The month.
        counted: What was counted since the catalogue was made.
    """
    known = _rows().get((dataset, str(month)))
    return known if known is not None else counted.get((dataset, str(month)))


def published_months() -> list[tuple[str, Month]]:
    """The datasets and months the catalogue has, in order."""
    return [(dataset, Month.parse(month)) for dataset, month in sorted(_rows())]


def published_near(dataset: str, month: Month, counted: Counts = NOTHING) -> list[int]:
    """Rows of the months of the years before and after a month, as far as they are known."""
    found = (published_rows(dataset, it, counted) for it in (*month.year_before, *month.year_after))
    return [rows for rows in found if rows is not None]


@cache
def _rows() -> dict[tuple[str, str], int]:
    facts = resources.files("taxi_platform.core.catalog") / "published_rows.csv"
    lines = csv.DictReader(facts.read_text(encoding="utf-8").splitlines())
    return {(line["dataset"], line["month"]): int(line["rows"]) for line in lines}
