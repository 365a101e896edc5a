"""The tables of a PostgreSQL warehouse: what is there, and what it lacks of its contract. Views are in `views.py`.

Nothing is locked, and no right to change anything is needed, where nothing is lacking: that is every load but the first
and those after a contract changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import LiteralString, cast

from psycopg import sql

from taxi_platform.core.catalog.model import (
    SOURCE_MONTH,
    Column,
    ColumnType,
    TableContract,
    TripContract,
)
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.warehouse.postgres.locks import TURN
from taxi_platform.core.warehouse.postgres.session import Connection, Session

SCHEMA = "taxi"
TYPES: dict[ColumnType, LiteralString] = {
    ColumnType.STRING: "text",
    ColumnType.INT32: "integer",
    ColumnType.INT64: "bigint",
    ColumnType.FLOAT64: "double precision",
    ColumnType.TIMESTAMP: "timestamp without time zone",
    ColumnType.DATE: "date",
}
#: A month is small beside a table of years: a block range index finds days in it for nearly nothing.
_INDEXED = "pickup_datetime"
_CONSTRAINT = "one_month"


@dataclass(frozen=True)
class StoredTable:
    """A table or view as it is in the database.

    Attributes:
        relation: Its name in the schema.
        columns: Column -> type as the server writes it, in order.
        details: Column -> what its definition says after the type.
        comments: Column (or "" for the table) -> comment.
        partitioned_by: What makes its partitions, as the server writes it.
    """

    relation: str
    columns: Mapping[str, str]
    details: Mapping[str, str]
    comments: Mapping[str, str | None]
    partitioned_by: str | None

    @property
    def name(self) -> sql.Identifier:
        """Its name, as SQL takes it."""
        return sql.Identifier(SCHEMA, self.relation)

    def defined(self, column: str) -> sql.Composed:
        """A column, for the definition of a table that is to have the same one."""
        kind, details = verbatim(self.columns[column]), verbatim(self.details[column])
        return sql.SQL("{} {} {}").format(sql.Identifier(column), kind, details)

    def selected(self, columns: tuple[Column, ...]) -> sql.Composed:
        """Those columns, for a SELECT; one the contract gained since the last load is null."""
        return sql.SQL(", ").join(
            sql.Identifier(it.name)
            if it.name in self.columns
            else sql.SQL("NULL::{} AS {}").format(_type(it), sql.Identifier(it.name))
            for it in columns
        )


def stored(connection: Connection, table: str) -> StoredTable | None:
    """A table or view of the schema `taxi`, if there is one of that name."""
    found = connection.execute(
        """
        SELECT oid, pg_get_partkeydef(oid), obj_description(oid, 'pg_class') FROM pg_class
        WHERE relname = %s AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
        """,
        [table, SCHEMA],
    ).fetchone()
    if found is None:
        return None
    oid, partitioned_by, comment = found
    columns = connection.execute(
        """
        SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum),
               CASE WHEN attgenerated = '' THEN coalesce('DEFAULT ' || value, '')
                    ELSE format('GENERATED ALWAYS AS (%%s) ', value) ||
                         CASE attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END
               END || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum,
             pg_get_expr(adbin, adrelid) AS value
        WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
        """,
        [oid],
    ).fetchall()
    return StoredTable(
        table,
        {name: kind for name, kind, _, _ in columns},
        {name: details for name, _, _, details in columns},
        {"": comment} | {name: told for name, _, told, _ in columns},
        partitioned_by,
    )


def ensure(session: Session, connection: Connection, contract: TableContract) -> None:
    """Make the table and its comments, or give them what their contract has gained.

    Raises:
        WarehouseError: The table does not fit its contract; nothing has changed.
    """
    settle(session, connection, contract, lambda: _lacking(session, connection, contract))


def stage_for(connection: Connection, table: StoredTable, name: str, month: date) -> sql.Identifier:
    """Make a table that can become the month's partition of another one without a look at its rows.

    It has every column the table has (`LIKE` would hold a lock on it for as long as the load takes), and a constraint
    that says what the server would otherwise look for.
    """
    stage = sql.Identifier(SCHEMA, name)
    columns = sql.SQL(", ").join(table.defined(column) for column in table.columns)
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(stage, columns))
    connection.execute(
        sql.SQL(
            "ALTER TABLE {} ALTER {column} SET DEFAULT {day}, "
            "ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL AND {column} = {day})"
        ).format(
            stage,
            column=sql.Identifier(SOURCE_MONTH),
            day=sql.SQL("{}::date").format(sql.Literal(str(month))),
            name=sql.Identifier(_CONSTRAINT),
        )
    )
    return stage


def add_indexes(connection: Connection, table: StoredTable, stage: sql.Identifier) -> None:
    """Give a filled stage the indexes every partition has; the server would make them while readers wait.

    Those that forbid equal rows are left to the server, which wants them to belong to constraints.
    """
    for (definition,) in connection.execute(
        """
        SELECT substring(pg_get_indexdef(indexrelid) FROM ' USING .*') FROM pg_index
        WHERE indrelid = %s::regclass AND NOT indisunique
        """,
        [table.name.as_string(connection)],
    ).fetchall():
        connection.execute(sql.SQL("CREATE INDEX ON {} {}").format(stage, verbatim(definition)))


def take_place(connection: Connection, table: StoredTable, stage: sql.Identifier, name: str, month: date) -> None:
    """Make the stage the month's partition, in the place of the one that is.

    Loads of one table take turns here. Readers are in the way, and kept waiting, only where there is an old partition
    to be taken from them.

    Args:
        connection: In a transaction.
        table: The partitioned table, as it was when the stage was made.
        stage: What `stage_for` made, filled.
        name: What the partition is to be called.
        month: The month.
    """
    connection.execute(sql.SQL("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE").format(table.name))
    # Another load may have given the table a column since.
    now = stored(connection, table.relation) or table
    for gained in [column for column in now.columns if column not in table.columns]:
        connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {}").format(stage, now.defined(gained)))
    for (old,) in connection.execute(
        """
        SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class AS old ON old.oid = inhrelid
        WHERE inhparent = %s::regclass AND pg_get_expr(relpartbound, old.oid) = %s
        """,
        [table.name.as_string(connection), f"FOR VALUES IN ('{month}')"],
    ).fetchall():
        connection.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(table.name, verbatim(old)))
        connection.execute(sql.SQL("DROP TABLE {}").format(verbatim(old)))
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
            table.name, stage, sql.Literal(str(month))
        )
    )
    connection.execute(
        sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}, ALTER {} DROP DEFAULT").format(
            stage, sql.Identifier(_CONSTRAINT), sql.Identifier(SOURCE_MONTH)
        )
    )
    connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(stage, sql.Identifier(name)))


def settle(
    session: Session, connection: Connection, contract: TableContract, lacking: Callable[[], Iterator[sql.Composed]]
) -> None:
    """Execute what is lacking, if anything is; loads that find something take turns."""
    # Also to look at a table is to wait for whoever has the whole of it.
    if not session.bounded(connection, f"{SCHEMA}.{contract.table}", lambda: any(lacking())):
        return

    def change() -> None:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])
        for statement in lacking():
            connection.execute(statement)

    session.patiently(connection, f"{SCHEMA}.{contract.table}", change)


def _lacking(session: Session, connection: Connection, contract: TableContract) -> Iterator[sql.Composed]:
    """The statements that bring a table up to its contract. Lazy: each may rely on those before it."""
    if not connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [SCHEMA]).fetchall():
        yield sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA))
    by_month = f"LIST ({SOURCE_MONTH})" if isinstance(contract, TripContract) else None
    columns = contract.table_columns if isinstance(contract, TripContract) else contract.columns
    name = sql.Identifier(SCHEMA, contract.table)
    if stored(connection, contract.table) is None:
        defined = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(it.name), _type(it)) for it in columns)
        partitions = sql.SQL("PARTITION BY LIST ({})").format(sql.Identifier(SOURCE_MONTH))
        yield sql.SQL("CREATE TABLE {} ({}) {}").format(name, defined, partitions if by_month else sql.SQL(""))
        if by_month and _INDEXED in {it.name for it in columns}:
            yield sql.SQL("CREATE INDEX ON {} USING brin ({})").format(name, sql.Identifier(_INDEXED))
    table = stored(connection, contract.table)
    if table is None:
        return  # nobody executes what is yielded: it was only asked whether anything is lacking
    if table.partitioned_by != by_month:
        what = f"partitioned by {table.partitioned_by}" if table.partitioned_by else "not partitioned"
        raise _unfit(session, contract, f"the table is {what}")
    for column in columns:
        kind = table.columns.get(column.name)
        if kind is None:
            yield sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(name, sql.Identifier(column.name), _type(column))
        elif kind != TYPES[column.type]:
            what = f"column {column.name} is {kind} in the table and {TYPES[column.type]} in the contract"
            raise _unfit(session, contract, what)
        if table.comments.get(column.name) != column.full_description:
            yield sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                name, sql.Identifier(column.name), sql.Literal(column.full_description)
            )
    if table.comments[""] != contract.description:
        yield sql.SQL("COMMENT ON TABLE {} IS {}").format(name, sql.Literal(contract.description))


def _unfit(session: Session, contract: TableContract, what: str) -> WarehouseError:
    return WarehouseError(
        what,
        where=f"{SCHEMA}.{contract.table} in {session.where}",
        fix=f"DROP TABLE {SCHEMA}.{contract.table} CASCADE (to keep it: ALTER SCHEMA {SCHEMA} RENAME TO …), "
        "then load its months again",
    )


def _type(column: Column) -> sql.SQL:
    return sql.SQL(TYPES[column.type])


def verbatim(text: str) -> sql.SQL:
    """SQL that is no literal of this module: what the catalog of the server or the view's builder gave."""
    return sql.SQL(cast(LiteralString, text))
