"""How many rows the two editions of a month have, as far as that is known without the files.

Of the Parquet edition TLC's catalogue knows; of the CSVs that TLC replaced in 2022 only what others have published of
them: green by the course that mirrors it, yellow of early 2012 by people who counted them then.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

from taxi_platform.core.catalog.published import NOTHING, Counts, published_rows
from taxi_platform.core.month import Month
from taxi_platform.core.source.contents import Edition

CALLED = {"csv": "the CSV edition", "parquet": "TLC's Parquet"}


def known_rows(dataset: str, month: Month, edition: Edition, counted: Counts = NOTHING) -> int | None:
    """Rows of one edition of a month; None where nobody knows."""
    return published_rows(dataset, month, counted) if edition == "parquet" else _csv_rows().get((dataset, str(month)))


def other_edition(dataset: str, month: Month, edition: Edition) -> tuple[str, int] | None:
    """What the month's other edition is called, and its rows; None where they are not known."""
    other: Edition = "csv" if edition == "parquet" else "parquet"
    rows = known_rows(dataset, month, other)
    return None if rows is None else (CALLED[other], rows)


@cache
def _csv_rows() -> dict[tuple[str, str], int]:
    facts = resources.files("taxi_platform.core.official") / "csv_rows.csv"
    lines = csv.DictReader(facts.read_text(encoding="utf-8").splitlines())
    return {(line["dataset"], line["month"]): int(line["rows"]) for line in lines}
