"""Who has the locks that a piece of work waits for, as far as the server tells this user."""

from __future__ import annotations

from typing import Any

import psycopg

#: The advisory lock of whoever changes what there is in the schema, so that they take turns; any other number would do.
TURN = 0x7A71


def holders(connection: psycopg.Connection[tuple[Any, ...]], table: str) -> str:
    """Who else has locks on a table or its partitions, or it is whose turn to change tables, and since when.

    Args:
        connection: In no transaction that has failed.
        table: The table, with its schema.
    """
    found = connection.execute(
        """
        SELECT pid, concat_ws(', ', usename, nullif(application_name, ''), state,
                              'for ' || date_trunc('second', clock_timestamp() - xact_start)::text)
        FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND datname = current_database() AND pid IN (
            SELECT pid FROM pg_locks WHERE granted AND (
                relation = to_regclass(%(table)s)
                OR relation IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(table)s))
                OR (locktype = 'advisory' AND classid = 0 AND objid = %(turn)s AND objsubid = 1)
            )
        )
        ORDER BY xact_start
        """,
        {"table": table, "turn": TURN},
    ).fetchall()
    return "; ".join(f"pid {pid} ({details})" for pid, details in found)
