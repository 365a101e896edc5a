"""A connection to PostgreSQL, and how long it waits for what; `refusals.py` says what its errors mean."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote

import psycopg
import pyarrow as pa
import tenacity
from adbc_driver_manager import Error as AdbcError
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.urls import mask_url
from taxi_platform.core.warehouse.postgres import refusals
from taxi_platform.core.warehouse.postgres.locks import holders

Connection = psycopg.Connection[tuple[Any, ...]]

#: What a connection says and asks for unless its URL does: who is there, and to notice a line that went dead. (A
#: server whose disk is slow may well take no more rows for minutes.)
_DEFAULTS = {
    "fallback_application_name": "taxi_platform",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "300000",
}
#: Rows travel as Arrow has them, whatever the database's own encoding is.
_ENCODING = {"client_encoding": "UTF8"}
#: Milliseconds that one try may wait for a lock, first and at most. Readers that come meanwhile queue up behind it; the
#: longer tries are for autovacuum, which gives way only to who has waited for a second (`deadlock_timeout`).
_FIRST_LOCK_TIMEOUT, _LONGEST_LOCK_TIMEOUT = 100, 1600
#: Seconds after which waiting for a lock is told.
_UNTOLD = 2.0
#: Tries of something whose connection is lost: a server that restarts is there again after a few seconds.
_ATTEMPTS = 5
_OPTIONS = {it.keyword.decode() for it in psycopg.pq.Conninfo.get_defaults()}
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
    _reached: bool = field(default=False, init=False)

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
            wait=tenacity.wait_exponential(multiplier=0.5, max=10) + tenacity.wait_random(0, 0.5),
            before_sleep=self._say_lost,
            reraise=True,
        )
        return attempts(self._run_once, what, work)

    def _run_once(self, what: str, work: Callable[[Connection], Result]) -> Result:
        with self._explained(what), self._connect() as connection:
            try:
                # Bounds of partitions are compared as the server writes them.
                connection.execute("SET datestyle = ISO")
                return work(connection)
            except psycopg.Error as error:
                if connection.broken:
                    raise self._lost(what, f"the connection was lost: {_one_line(error)}") from error
                raise

    def read(self, what: str, query: str, schema: pa.Schema) -> pa.Table:
        """The rows of a query, in the Arrow types of a schema."""
        # It brings pandas along, which only who reads waits for.
        from adbc_driver_postgresql import dbapi  # pyright: ignore[reportMissingTypeStubs]

        with (
            self._explained(what),
            dbapi.connect(self._conninfo) as connection,  # pyright: ignore[reportUnknownMemberType]
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SET LOCAL lock_timeout = {milliseconds(self.patience)}")  # pyright: ignore[reportUnknownMemberType]
            cursor.execute(query)  # pyright: ignore[reportUnknownMemberType]
            return cursor.fetch_arrow_table().cast(schema)

    def patiently(self, connection: Connection, table: str, work: Callable[[], None]) -> None:
        """Do something that needs locks on a table, without making others wait behind it for long.

        It is done in a savepoint, and undone and tried again when a lock does not come soon.

        Raises:
            WarehouseError: The locks did not come within the session's patience; names who holds them.
        """
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((errors.LockNotAvailable, errors.DeadlockDetected)),
            stop=tenacity.stop_after_delay(self.patience),
            wait=tenacity.wait_random(0.05, 0.5),
            before_sleep=lambda state: self._say_waiting(connection, table, state),
            reraise=True,
        )
        try:
            for attempt in attempts:
                with attempt, connection.transaction():
                    timeout = min(_FIRST_LOCK_TIMEOUT * 2**attempt.retry_state.attempt_number, _LONGEST_LOCK_TIMEOUT)
                    connection.execute("SELECT set_config('lock_timeout', %s, true)", [str(timeout)])
                    work()
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            raise self._held(connection, table, error) from error

    def bounded(self, connection: Connection, table: str, work: Callable[[], Result]) -> Result:
        """Do something in a transaction in which nothing waits for a lock without words, or without an end.

        The bound ends with the transaction: behind a pooler, others have the same connection to the server later.

        Args:
            connection: In no transaction.
            table: What the locks are on.
            work: Is done from its beginning again once it is known that others are in the way.

        Raises:
            WarehouseError: A lock did not come within the session's patience; names who holds it.
        """
        try:
            return self._within(connection, min(_UNTOLD, self.patience), work)
        except errors.LockNotAvailable:
            self._say_held(connection, table, _UNTOLD)
        try:
            return self._within(connection, self.patience, work)
        except errors.LockNotAvailable as error:
            raise self._held(connection, table, error) from error

    @staticmethod
    def _within(connection: Connection, seconds: float, work: Callable[[], Result]) -> Result:
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [str(milliseconds(seconds))])
            return work()

    def _held(self, connection: Connection, table: str, error: Exception) -> WarehouseError:
        return WarehouseError(
            f"others have held {table} for over {self.patience:.0f} s; it is as it was",
            where=self.where,
            cause=holders(connection, table) or _one_line(error),
            fix="end them (SELECT pg_terminate_backend(pid)), or wait for them, then run the month again",
            may_pass_later=True,
        )

    @property
    def _conninfo(self) -> str:
        # What follows a password among the options may be a piece of it.
        options = re.split(r"[?&](?:ssl)?password=", self.url.rpartition("@")[2])[0]
        unknown = set(re.findall(r"[?&](\w+)=", options)) - _OPTIONS
        try:
            given = conninfo_to_dict(self.url)
        except (psycopg.ProgrammingError, UnicodeError):
            given = None
        if given is None and unknown:
            raise WarehouseError(
                f"PostgreSQL's clients know no option {' and no option '.join(sorted(unknown))}",
                where=self.where,
                fix="see TAXI_WAREHOUSE_URL; the options are those of libpq, such as sslmode and connect_timeout",
            )
        # Said outside of `except`, and without libpq's own words: both would show a piece of the password.
        if given is None or not _is_understood(self.url, given):
            raise WarehouseError(
                "the URL is none that PostgreSQL's clients understand",
                where=self.where,
                fix="set TAXI_WAREHOUSE_URL to postgresql://user:password@host:5432/database?option=value, "
                "with %25 for a %, %40 for an @ and %2F for a / in the password",
            )
        return make_conninfo("", **(_DEFAULTS | given | _ENCODING))

    def _connect(self) -> Connection:
        try:
            connection = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            told = _one_line(error)
            # Whatever a server says that was there a moment ago: it is about to come back, or not.
            if self._reached or refusals.is_busy(told):
                raise self._lost("the server takes no connections", told) from error
            fix, may_pass = refusals.turned_away(told)
            raise WarehouseError(
                "the database cannot be reached", where=self.where, cause=told, fix=fix, may_pass_later=may_pass
            ) from error
        self._reached = True
        # Each statement is to see what others have committed meanwhile, also while it waits for a lock.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return connection

    def _lost(self, what: str, cause: str) -> _LostError:
        fix = "see whether the server is up, then run the month again"
        return _LostError(what, where=self.where, cause=cause, fix=fix)

    @contextmanager
    def _explained(self, what: str) -> Generator[None, None, None]:
        try:
            yield
        except (psycopg.Error, AdbcError, pa.ArrowException, OSError) as error:
            raise WarehouseError(
                what,
                where=self.where,
                cause=_one_line(error),
                fix=refusals.fix_of(error),
                may_pass_later=refusals.may_pass_later(error),
            ) from error

    def _say_lost(self, state: tenacity.RetryCallState) -> None:
        if state.outcome and isinstance(error := state.outcome.exception(), _LostError):
            _log.warning("%s: %s; trying again", self.where, error.cause)

    def _say_waiting(self, connection: Connection, table: str, state: tenacity.RetryCallState) -> None:
        if state.attempt_number in (5, 50, 500):
            self._say_held(connection, table, state.seconds_since_start or 0)

    def _say_held(self, connection: Connection, table: str, seconds: float) -> None:
        _log.warning(
            "%s: others hold %s: %s; waiting (%.0f s, of %.0f s at most)",
            self.where,
            table,
            holders(connection, table) or "nobody that this user may see",
            seconds,
            self.patience,
        )


def _is_understood(url: str, given: dict[str, Any]) -> bool:
    """Whether libpq takes the same part of a URL for the password as `mask_url` does.

    If not, it would look for a host, a port or a database that is a piece of the password, and say so.
    """
    authority = url.partition("://")[2]
    account, at, rest = authority.rpartition("@")
    location = authority.partition("?")[0].partition("/")[0]
    ports = str(given.get("port") or "").split(",")
    if not all(port == "" or (port.isascii() and port.isdigit()) for port in ports):
        return False
    if not at or ("@" not in location and ":" not in location):  # no account, but perhaps an @ of an option
        return not any("@" in str(given.get(part)) for part in ("host", "dbname"))
    user, _, password = account.partition(":")
    return all(
        (given.get(part) or "") == unquote(value) or f"{part}=" in rest  # an option of that name has the last word
        for part, value in (("user", user), ("password", password))
    )


def milliseconds(seconds: float) -> int:
    """A timeout as the server takes it, which has 0 for none."""
    return max(1, round(seconds * 1000))


def _one_line(error: Exception) -> str:
    """What went wrong: a server's own sentences, without the statement it quotes below them."""
    diag = error.diag if isinstance(error, psycopg.Error) else None
    told = ". ".join(filter(None, (diag.message_primary, diag.message_detail, diag.context))) if diag else ""
    return " ".join((told or str(error)).split()).rstrip(".") or type(error).__name__
