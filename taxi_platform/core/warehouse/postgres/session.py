"""A connection to PostgreSQL: how long it waits for what, and what its errors mean to the person who has to mend it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
import pyarrow as pa
import tenacity
from adbc_driver_manager import Error as AdbcError
from adbc_driver_postgresql import dbapi  # pyright: ignore[reportMissingTypeStubs]
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.urls import mask_url

Connection = psycopg.Connection[tuple[Any, ...]]

#: What a connection says and asks for unless its URL does: who is there, and to notice a line that went dead.
_DEFAULTS = {
    "application_name": "taxi_platform",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
#: Milliseconds that one try may wait for a lock, first and at most. Readers that come meanwhile queue up behind it; the
#: longer tries are for autovacuum, which gives way only to who has waited for a second (`deadlock_timeout`).
_FIRST_LOCK_TIMEOUT, _LONGEST_LOCK_TIMEOUT = 100, 1600
#: Tries of something whose connection is lost: a server that restarts is there again after a few seconds.
_ATTEMPTS = 5
_NAMED_BY_LIBPQ = {
    "password authentication failed": "see that the user and password in TAXI_WAREHOUSE_URL are right (% is %25)",
    "no password supplied": "put the password into TAXI_WAREHOUSE_URL: postgresql://user:password@host/database",
    "no pg_hba.conf entry": "allow this user, database and address in the server's pg_hba.conf, or set sslmode=require",
    "could not translate host name": "see that the host in TAXI_WAREHOUSE_URL is right",
    "SSL": "see the sslmode and certificates in TAXI_WAREHOUSE_URL, and whether the server has TLS",
    "role ": "create the user, or name another one in TAXI_WAREHOUSE_URL",
    "database ": "create it (createdb), or name another one in TAXI_WAREHOUSE_URL",
}
_log = logging.getLogger(__name__)
Result = TypeVar("Result")


class _LostError(WarehouseError):
    """The server went away in the middle; it may come back."""

    may_pass_later = True


@dataclass
class Session:
    """One piece of work on the database, which outlives the server's restarts and other people's locks.

    Attributes:
        url: A libpq connection URI.
        patience: Seconds to wait for locks.
    """

    url: str = field(repr=False)
    patience: float
    _reached: bool = False

    @property
    def where(self) -> str:
        """The database, as it may be shown."""
        return mask_url(self.url)

    def run(self, what: str, work: Callable[[Connection], Result]) -> Result:
        """Do something on a connection, from its beginning again if the connection is lost.

        Args:
            what: What cannot be done if anything goes wrong, as a sentence without its full stop.
            work: Gets a connection in which every statement stands alone unless it is in a `transaction()`.

        Raises:
            WarehouseError: It could not be done.
        """
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_LostError),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_exponential_jitter(0.5, 10),
            before_sleep=self._say_lost,
            reraise=True,
        )
        return attempts(self._run_once, what, work)

    def _run_once(self, what: str, work: Callable[[Connection], Result]) -> Result:
        with self._explained(what), self._connect() as connection:
            self._reached = True
            try:
                # Bounds of partitions are compared as the server writes them.
                connection.execute("SET datestyle = ISO")
                return work(connection)
            except psycopg.Error as error:
                if connection.broken:
                    raise self._lost(what, error) from error
                raise

    def read(self, what: str, query: str, schema: pa.Schema) -> pa.Table:
        """The rows of a query, in the Arrow types of a schema."""
        with (
            self._explained(what),
            dbapi.connect(self._conninfo) as connection,  # pyright: ignore[reportUnknownMemberType]
            connection.cursor() as cursor,
        ):
            cursor.execute(query)  # pyright: ignore[reportUnknownMemberType]
            return cursor.fetch_arrow_table().cast(schema)

    def patiently(self, connection: Connection, work: Callable[[], None]) -> None:
        """Do something that needs locks, without making others wait behind it for long.

        It is done in a savepoint, and undone and tried again when a lock does not come soon.

        Raises:
            WarehouseError: The locks did not come within the session's patience; names who holds them.
        """
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((errors.LockNotAvailable, errors.DeadlockDetected)),
            stop=tenacity.stop_after_delay(self.patience),
            wait=tenacity.wait_random(0.05, 0.5),
            before_sleep=self._say_waiting,
            reraise=True,
        )
        try:
            for attempt in attempts:
                with attempt, connection.transaction():
                    timeout = min(_FIRST_LOCK_TIMEOUT * 2**attempt.retry_state.attempt_number, _LONGEST_LOCK_TIMEOUT)
                    connection.execute("SELECT set_config('lock_timeout', %s, true)", [str(timeout)])
                    work()
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            raise WarehouseError(
                f"others have held the table for over {self.patience:.0f} s; it is as it was",
                where=self.where,
                cause=_holders(connection) or str(error),
                fix="end them (SELECT pg_terminate_backend(pid)), or wait for them, then run the month again",
                may_pass_later=True,
            ) from error

    @property
    def _conninfo(self) -> str:
        try:
            given = conninfo_to_dict(self.url)
        except psycopg.ProgrammingError:
            raise WarehouseError(  # libpq's own words may hold a piece of the password
                "the URL is none that PostgreSQL's clients understand",
                where=self.where,
                fix="set TAXI_WAREHOUSE_URL to postgresql://user:password@host:5432/database?option=value, "
                "with %25 for a % and %40 for an @ in the password",
            ) from None
        return make_conninfo("", **(_DEFAULTS | {name: value for name, value in given.items() if value is not None}))

    def _connect(self) -> Connection:
        try:
            return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError as error:
            told = self._masked(error)
            # "Starting up" and "shutting down" are the right server's words; "refused" is, once it was there.
            if "the database system is" in told or (self._reached and "Connection refused" in told):
                raise self._lost("the server is not there", error) from error
            fix = next((fix for words, fix in _NAMED_BY_LIBPQ.items() if words in told), None)
            raise WarehouseError(
                "the database cannot be reached",
                where=self.where,
                cause=told,
                fix=fix or "see that the host and port in TAXI_WAREHOUSE_URL are right and the server is running",
            ) from None  # the error below would show what was masked here

    def _lost(self, what: str, error: psycopg.Error) -> _LostError:
        return _LostError(
            what,
            where=self.where,
            cause=f"the connection was lost: {self._masked(error)}",
            fix="see whether the server is up, then run the month again",
        )

    @contextmanager
    def _explained(self, what: str) -> Generator[None, None, None]:
        try:
            yield
        except errors.InsufficientPrivilege as error:
            raise self._told(
                what,
                error,
                "let the user make the schema (GRANT CREATE ON DATABASE … TO …), or own the schema taxi and its tables",
            ) from error
        except errors.DiskFull as error:
            raise self._told(what, error, "make room on the server's disk, then run the month again") from error
        except errors.DependentObjectsStillExist as error:
            raise self._told(
                what, error, "drop the view or table that depends on it, then run the month again"
            ) from error
        except (psycopg.Error, AdbcError, pa.ArrowException, OSError) as error:
            raise self._told(what, error, "see what the cause says, then run the month again") from error

    def _told(self, what: str, error: Exception, fix: str) -> WarehouseError:
        return WarehouseError(what, where=self.where, cause=self._masked(error), fix=fix)

    def _masked(self, error: Exception) -> str:
        """What an error says, in one line and without the password."""
        told = " ".join(str(error).split()) or type(error).__name__
        for name in ("password", "sslpassword"):
            if secret := conninfo_to_dict(self.url).get(name):
                told = told.replace(str(secret), "***")
        return told

    def _say_lost(self, state: tenacity.RetryCallState) -> None:
        _log.warning("%s Trying again.", state.outcome.exception() if state.outcome else "")

    def _say_waiting(self, state: tenacity.RetryCallState) -> None:
        if state.attempt_number in (5, 50, 500):
            _log.warning("%s: others hold the table; waiting (%.0f s)", self.where, state.seconds_since_start or 0)


def _holders(connection: Connection) -> str:
    """Who else has locks on the platform's tables, and since when."""
    found = connection.execute(
        """
        SELECT DISTINCT activity.pid, activity.usename, activity.application_name,
               date_trunc('second', now() - activity.xact_start)::text
        FROM pg_locks AS locks
        JOIN pg_class AS tables ON tables.oid = locks.relation AND tables.relnamespace = 'taxi'::regnamespace
        JOIN pg_stat_activity AS activity ON activity.pid = locks.pid
        WHERE locks.granted AND activity.pid <> pg_backend_pid() AND activity.datname = current_database()
        """
    ).fetchall()
    return "; ".join(f"pid {pid} ({user}, {program or 'unnamed'}) for {since}" for pid, user, program, since in found)
