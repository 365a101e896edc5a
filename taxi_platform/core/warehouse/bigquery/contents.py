"""What a month in BigQuery holds: its measures and its fingerprint, worked out by BigQuery."""

from __future__ import annotations

from collections.abc import Callable, Container
from decimal import Decimal

from taxi_platform.core.catalog.model import Column, ColumnType
from taxi_platform.core.fingerprint import Fingerprint, make_fingerprint
from taxi_platform.core.fingerprint.words import BIGQUERY
from taxi_platform.core.measures import LARGEST, PARTS, Measures, read_measures
from taxi_platform.core.warehouse.bigquery.dataset import identifier

#: Gives the one row of a query in which `{rows}` stands for the month's.
Ask = Callable[[str], tuple[int | Decimal, ...]]


def measure(ask: Ask, columns: tuple[Column, ...], there: Container[str]) -> Measures:
    """The measures of a month in some columns; one that the table lacks is null."""
    figures = (_measures(it) if it.name in there else "0, 0" for it in columns)
    return read_measures(columns, ask(f"SELECT {', '.join(['COUNT(*)', *figures])} {{rows}}"))


def fingerprint(ask: Ask, columns: tuple[Column, ...], there: Container[str], nulls: Container[str]) -> Fingerprint:
    """The fingerprint of a month; the other arguments are those of `make_fingerprint`."""
    return make_fingerprint(ask, columns, there, "{rows}", BIGQUERY, nulls)


def _measures(column: Column) -> str:
    """What `core/measures.py` asks of a column, in BigQuery's SQL, added up where none overflows."""
    name = identifier(column.name)
    match column.type:
        case ColumnType.FLOAT64:
            addend = f"IF(ABS({name}) < {LARGEST}, TRUNC({name} * {PARTS}), NULL)"
        case ColumnType.STRING:
            # In place, and not once for each text: a query pays for the bytes it reads, not for what it computes.
            addend = f"CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5({name})), 1, 15)) AS INT64)"
        case ColumnType.TIMESTAMP | ColumnType.DATE:
            addend = f"DATETIME_DIFF(CAST({name} AS DATETIME), DATETIME '1970-01-01', MICROSECOND)"
        case _:
            addend = name
    return f"COUNT({name}), COALESCE(SUM(CAST({addend} AS BIGNUMERIC)), 0)"
