"""The views of a PostgreSQL warehouse: what they lack, and what a month comes to in them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from psycopg import errors, sql

from taxi_platform.core.catalog.model import ReferenceContract, TripContract
from taxi_platform.core.month import Month
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
    try:
        settle(session, connection, contract, lambda: _lacking(connection, contract, zones))
    except (errors.DependentObjectsStillExist, errors.InsufficientPrivilege) as error:
        if stored(connection, view_name(contract)) is None:
            raise
        _log.warning("%s stays as it is: %s", view_name(contract), " ".join(str(error).split()))


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


def _lacking(connection: Connection, contract: TripContract, zones: ReferenceContract) -> Iterator[sql.Composed]:
    """The statements that make the view that names the zones, unless it is there, and this one of this very table.

    The server keeps a view's query in words of its own; which one it is, its comment says.
    """
    table, view = stored(connection, contract.table), stored(connection, view_name(contract))
    wanted = {**(table.columns if table else {}), **_zone_types(contract, zones)}
    trips, lookup = (sql.Identifier(SCHEMA, it.table).as_string(connection) for it in (contract, zones))
    # By DISTINCT ON the planner knows how many rows are joined, and that a join nobody asks for may be left out.
    query = zone_view(contract, zones, trips, lookup, one_for_each=distinct)
    comment = f"Every row of {contract.table} once, with the names of its zones (definition {definition(query)})."
    there = list(view.columns.items()) if view else []
    is_this = view is not None and view.comments[""] == comment and there == list(wanted.items())
    if view and is_this and {contract.table, zones.table} <= _read_by(connection, view):
        return
    name = sql.Identifier(SCHEMA, view_name(contract))
    # One whose columns stay is replaced where it is: whoever may read it, or has built on it, goes on.
    if there != list(wanted.items())[: len(there)]:
        yield sql.SQL("DROP VIEW {}").format(name)
    yield sql.SQL("CREATE OR REPLACE VIEW {} AS {}").format(name, verbatim(query))
    yield sql.SQL("COMMENT ON VIEW {} IS {}").format(name, sql.Literal(comment))


def _zone_types(contract: TripContract, zones: ReferenceContract) -> dict[str, str]:
    """What `zone_columns` names, and the type of each."""
    types = [TYPES[column.type] for column in zones.columns if column.name != zones.key]
    return dict(zip(zone_columns(contract, zones), types * len(contract.zone_columns), strict=True))


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
