"""The views of a PostgreSQL warehouse: what they lack, and what a month comes to in them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from psycopg import errors, sql

from taxi_platform.core.catalog.model import ColumnType, ReferenceContract, TableContract, TripContract
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse import base_view
from taxi_platform.core.warehouse.postgres.schema import (
    SCHEMA,
    TYPES,
    StoredTable,
    ensure,
    settle,
    stored,
    verbatim,
)
from taxi_platform.core.warehouse.postgres.session import Connection, Session
from taxi_platform.core.warehouse.zone_totals import ZoneTotals, money_column, read_totals, select_totals
from taxi_platform.core.warehouse.zone_view import definition, distinct, view_name, zone_columns, zone_view

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _View:
    """A view as it should be.

    Attributes:
        name: Without its schema.
        query: What it is of.
        says: What its comment says of it.
        columns: Column -> type as the server writes it, in order.
        reads: The tables and views it is of.
    """

    name: str
    query: str
    says: str
    columns: Mapping[str, str]
    reads: set[str]


def ensure_zone_view(
    session: Session, connection: Connection, contract: TripContract, zones: ReferenceContract | None
) -> None:
    """Make the view that names the zones of a table that is there, or make it what it should be by now.

    One that may not be changed stays as it is, which is logged: it is no reason to have no new rows.

    Raises:
        WarehouseError: The lookup's table does not fit its contract; nothing has changed.
    """
    if zones is None or not contract.zone_columns:
        return
    ensure(session, connection, zones)
    _ensure(session, connection, contract, lambda: _of_zones(connection, contract, zones))


def ensure_base_view(
    session: Session, connection: Connection, contract: TripContract, report: ReferenceContract | None
) -> None:
    """Make the view that names the bases of a table that is there, and that of the bases; see `ensure_zone_view`.

    Raises:
        WarehouseError: The report's table does not fit its contract; nothing has changed.
    """
    if report is None or not base_view.numbers_of(contract):
        return
    ensure(session, connection, report)
    ensure_bases(session, connection, report)
    _ensure(session, connection, contract, lambda: _of_trips_with_bases(connection, contract))


def ensure_bases(session: Session, connection: Connection, report: ReferenceContract) -> None:
    """Make the view of the bases, of the table of their report, which is there; see `ensure_zone_view`."""
    _ensure(session, connection, report, lambda: _of_bases(connection, report))


def _ensure(session: Session, connection: Connection, contract: TableContract, wanted: Callable[[], _View]) -> None:
    name = wanted().name
    try:
        settle(session, connection, contract, lambda: _lacking(connection, wanted()))
    except (errors.DependentObjectsStillExist, errors.InsufficientPrivilege) as error:
        if stored(connection, name) is None:
            raise
        _log.warning("%s stays as it is: %s", name, " ".join(str(error).split()))


def zone_totals(
    connection: Connection, contract: TripContract, zones: ReferenceContract, month: Month
) -> ZoneTotals | None:
    """What a month comes to in the view; None without one."""
    view = stored(connection, view_name(contract))
    if view is None:
        return None
    names = view.name, sql.Identifier(SCHEMA, zones.table)
    shown, lookup = (it.as_string(connection) for it in names)
    money = money_column(contract, view.columns)
    query = select_totals(zones, month, money, view=shown, lookup=lookup)
    return read_totals(money, connection.execute(verbatim(query)).fetchall())


def _lacking(connection: Connection, wanted: _View) -> Iterator[sql.Composed]:
    """The statements that make a view, unless it is there, and this one of these very tables.

    The server keeps a view's query in words of its own; which one it is, its comment says.
    """
    view, columns = stored(connection, wanted.name), list(wanted.columns.items())
    comment = f"{wanted.says} (definition {definition(wanted.query)})."
    there = list(view.columns.items()) if view else []
    is_this = view is not None and view.comments[""] == comment and there == columns
    if view and is_this and wanted.reads <= _read_by(connection, view):
        return
    name = sql.Identifier(SCHEMA, wanted.name)
    # One whose columns stay is replaced where it is: whoever may read it, or has built on it, goes on.
    if there != columns[: len(there)]:
        yield sql.SQL("DROP VIEW {}").format(name)
    yield sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(name, verbatim(wanted.query))
    yield sql.SQL("COMMENT ON VIEW {} IS {}").format(name, sql.Literal(comment))


def _of_zones(connection: Connection, contract: TripContract, zones: ReferenceContract) -> _View:
    # By DISTINCT ON the planner knows how many rows are joined, and that a join nobody asks for may be left out.
    trips, lookup = _names(connection, contract.table, zones.table)
    types = [TYPES[column.type] for column in zones.columns if column.name != zones.key]
    named = dict(zip(zone_columns(contract, zones), types * len(contract.zone_columns), strict=True))
    return _View(
        view_name(contract),
        zone_view(contract, zones, trips, lookup, one_for_each=distinct),
        f"Every row of {contract.table} once, with the names of its zones",
        {**_columns_of(connection, contract), **named},
        {contract.table, zones.table},
    )


def _of_bases(connection: Connection, report: ReferenceContract) -> _View:
    (table,) = _names(connection, report.table)
    return _View(
        base_view.BASES,
        base_view.bases_view(table),
        "Every base of for-hire vehicles once, by the name it last reported under",
        {name: TYPES[kind] for name, kind in base_view.BASE_COLUMNS.items()},
        {report.table},
    )


def _of_trips_with_bases(connection: Connection, contract: TripContract) -> _View:
    trips, bases = _names(connection, contract.table, base_view.BASES)
    named = dict.fromkeys(base_view.name_columns(contract), TYPES[ColumnType.STRING])
    return _View(
        base_view.view_name(contract),
        base_view.base_view(contract, trips, bases),
        f"Every row of {contract.table} once, with the names of its bases",
        {**_columns_of(connection, contract), **named},
        {contract.table, base_view.BASES},
    )


def _names(connection: Connection, *relations: str) -> list[str]:
    return [sql.Identifier(SCHEMA, it).as_string(connection) for it in relations]


def _columns_of(connection: Connection, contract: TripContract) -> Mapping[str, str]:
    table = stored(connection, contract.table)
    return table.columns if table else {}


def _read_by(connection: Connection, view: StoredTable) -> set[str]:
    """The tables of the schema `taxi` that a view reads: a table keeps its view when it is renamed."""
    found = connection.execute(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = %s::regnamespace AND oid IN (
            SELECT refobjid FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid WHERE ev_class = %s::regclass
        )
        """,
        [SCHEMA, view.name.as_string(connection)],
    ).fetchall()
    return {name for (name,) in found}
