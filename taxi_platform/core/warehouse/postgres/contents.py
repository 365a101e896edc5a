"""What a month in PostgreSQL holds: its measures and its fingerprint, worked out by the server."""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal
from typing import LiteralString, cast

from psycopg import sql

from taxi_platform.core.catalog.model import SOURCE_MONTH, Column, ColumnType
from taxi_platform.core.fingerprint import Fingerprint, make_fingerprint
from taxi_platform.core.fingerprint.words import POSTGRES
from taxi_platform.core.measures import LARGEST, PARTS, Measures, read_measures, select_measures, total_of_texts
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse.postgres.schema import StoredTable
from taxi_platform.core.warehouse.postgres.session import Connection


def measure(connection: Connection, table: StoredTable, columns: tuple[Column, ...], month: Month) -> Measures:
    """The measures of a month in some columns."""
    return read_measures(columns, _asked(connection, table, columns, month, _select(columns)))


def fingerprint(
    connection: Connection, table: StoredTable, columns: tuple[Column, ...], month: Month, nulls: Container[str]
) -> Fingerprint:
    """The fingerprint of a month; the arguments are those of `make_fingerprint`."""
    return make_fingerprint(
        lambda select: _asked(connection, table, columns, month, select),
        columns,
        {it.name for it in columns},
        "FROM trips",
        POSTGRES,
        nulls,
    )


def _asked(
    connection: Connection, table: StoredTable, columns: tuple[Column, ...], month: Month, select: str
) -> tuple[int | Decimal, ...]:
    """The one row of a query of `trips`, the month's rows."""
    selected = table.selected(columns) if columns else sql.SQL("")
    trips = sql.SQL("WITH trips AS NOT MATERIALIZED (SELECT {} FROM {} WHERE {} = %s) ").format(
        selected, table.name, sql.Identifier(SOURCE_MONTH)
    )
    query = trips + sql.SQL(cast(LiteralString, select.replace("%", "%%")))  # of identifiers of a contract
    (row,) = connection.execute(query, [month.first_day]).fetchall()
    return row


def _select(columns: tuple[Column, ...]) -> str:
    return f"SELECT {select_measures(columns, _total)} FROM trips"


def _total(column: Column) -> str:
    """What `core/measures.py` asks of a column, in PostgreSQL's SQL."""
    name = column.name
    match column.type:
        case ColumnType.FLOAT64:
            # Whole part and rest apart: PostgreSQL rounds a double to 15 digits where it makes a wider number of it.
            counted = f"FILTER (WHERE abs({name}) < {LARGEST})"
            rest = f"trunc(({name} - trunc({name})) * {PARTS})"
            return f"sum(trunc({name})::bigint) {counted} * {PARTS} + sum({rest}::bigint) {counted}"
        case ColumnType.STRING:
            digest = "('x' || substr(md5(convert_to(value, 'UTF8')), 1, 15))::bit(60)::bigint"
            return total_of_texts(column, digest, "numeric")
        case ColumnType.TIMESTAMP:
            return f"sum((extract(epoch FROM {name}) * 1000000)::bigint)"
        case ColumnType.DATE:
            return f"sum(({name} - DATE '1970-01-01')::bigint * 86400000000)"
        case _:
            return f"sum({name})"
