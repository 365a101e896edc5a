"""What PostgreSQL's errors mean: which of them waiting mends, and what to do about the others.

In the middle of the work the server says what kind of thing went wrong by a code, its SQLSTATE, and that decides
(https://www.postgresql.org/docs/current/errcodes-appendix.html). Of a connection that does not come about libpq hands
out words only: there, what waiting does not mend is known by its words, and whatever else is said may pass. It is the
safer mistake: a wrong address that is tried again costs a minute, a server that restarts and is not tried again costs a
month that stays old.
"""

from __future__ import annotations

import re

import psycopg
from adbc_driver_manager import Error as AdbcError
from adbc_driver_manager import OperationalError as AdbcOperationalError
from psycopg import errors

from taxi_platform.core.os_errors import meaning_of

_SERVICE = "see that service in TAXI_WAREHOUSE_URL is in ~/.pg_service.conf, or in PGSERVICEFILE"
_CERTIFICATE = (
    "see that sslrootcert in TAXI_WAREHOUSE_URL is the file of who signed the server's certificate (and that sslcert "
    "and sslkey, if it asks for them, are there and yours alone)"
)
_ADDRESS = "see that the host, port and options in TAXI_WAREHOUSE_URL are right and the server is running"
#: Words of a server that takes connections again after a while (SQLSTATE 57P03, 53300, 57P01 if they were to be had).
_BUSY = (
    "the database system is",
    "too many clients",
    "remaining connection slots",
    "too many connections",
    "terminating connection due to administrator command",
)
#: Words of what waiting does not mend -> the fix. The first that fits counts.
_TURNED_AWAY = {
    "password authentication failed": "see that the user and password in TAXI_WAREHOUSE_URL are right (% is %25)",
    "no password supplied": "put the password into TAXI_WAREHOUSE_URL: postgresql://user:password@host/database",
    "no pg_hba.conf entry": "allow this user, database and address in the server's pg_hba.conf, or add "
    "?sslmode=require to TAXI_WAREHOUSE_URL",
    "pg_hba.conf rejects": "allow this user, database and address in the server's pg_hba.conf",
    "authentication failed": "see that the user in TAXI_WAREHOUSE_URL is the one that the server's pg_hba.conf means",
    "authentication method": "see that the server's pg_hba.conf and require_auth in TAXI_WAREHOUSE_URL agree",
    "does not support SSL": "give the server a certificate (ssl = on), or leave sslmode out of TAXI_WAREHOUSE_URL",
    "certificate": _CERTIFICATE,
    "private key file": _CERTIFICATE,
    "service file": _SERVICE,
    "definition of service": _SERVICE,
    "permission denied for database": "let the user connect: GRANT CONNECT ON DATABASE … TO …",
    "is not permitted to log in": "let the user log in (ALTER ROLE … LOGIN), or name another one in TAXI_WAREHOUSE_URL",
    'role "': "create the user (createuser --pwprompt), or name another one in TAXI_WAREHOUSE_URL",
    "is not currently accepting connections": "let the database take connections: ALTER DATABASE … ALLOW_CONNECTIONS",
    'database "': "create it (createdb), or name another one in TAXI_WAREHOUSE_URL",
    "invalid ": _ADDRESS,
    "unsupported ": _ADDRESS,
}
_UNREACHED = {"failed to resolve host": "see that the host in TAXI_WAREHOUSE_URL is right, and that names are resolved"}
#: How psycopg lists the addresses it has tried: host and port, and after the address what was said there.
_ATTEMPT = re.compile(r"- (host: .*?, port: .*?), hostaddr: (.*?)(?=- host: |$)")
#: What the server says in the middle of the work -> the fix.
_FIXES: dict[type[psycopg.Error], str] = {
    errors.InsufficientPrivilege: "let the user make the schema (GRANT CREATE ON DATABASE … TO …); if it is there, let "
    "it own the schema (ALTER SCHEMA taxi OWNER TO …) and its tables",
    errors.ReadOnlySqlTransaction: "name a server in TAXI_WAREHOUSE_URL that can be written to (of several hosts: "
    "?target_session_attrs=read-write), or lift default_transaction_read_only",
    errors.DiskFull: "make room on the server's disk, then run the month again",
    errors.QueryCanceled: "if it was a timeout, lift it (ALTER ROLE … SET statement_timeout = 0), then run the month "
    "again",
    errors.DependentObjectsStillExist: "drop what depends on it, or let it depend on the whole table and not on a "
    "month's partition, then run the month again",
    errors.DuplicateTable: "drop what has the name, or give it another one, then run the month again",
    errors.CharacterNotInRepertoire: "PostgreSQL keeps no NUL character in a text: reject such rows by a rule of the "
    "contract with the condition contains(column, chr(0)), and clean the month again",
}
#: SQLSTATEs, or classes of them, of what has often passed when the same is tried again: a line that broke, a conflict
#: with others, too little memory or too many connections, a lock or an object in use, a server that restarts.
_PASSING = ("08", "40", "532", "533", "55P03", "55006", "57P01", "57P02", "57P03", "57P05")
#: Except these of them: a protocol nobody speaks, and a function's own rollback, are the same tomorrow.
_STAYING = ("08P01", "40002")


def is_busy(told: str) -> bool:
    """Whether a server that turned a connection away takes them again after a moment."""
    return any(words in told for words in _BUSY)


def turned_away(told: str) -> tuple[str, bool]:
    """What to do about a connection that did not come about, and whether it may later.

    Args:
        told: What libpq said; of several hosts, what it said of each.
    """
    fix = next((fix for words, fix in _TURNED_AWAY.items() if words in told), None)
    if fix is None or is_busy(told):
        return next((fix for words, fix in _UNREACHED.items() if words in told), _ADDRESS), True
    return fix, not all(map(_is_final, _said_by_host(told)))


def _said_by_host(told: str) -> list[str]:
    """What was said of each host; a host with several addresses, as `localhost` often has, is one."""
    by_host: dict[str, str] = {}
    for host, said in _ATTEMPT.findall(told):
        by_host[host] = by_host.get(host, "") + said
    return list(by_host.values()) or [told]


def _is_final(told: str) -> bool:
    return any(words in told for words in _TURNED_AWAY)


def fix_of(error: Exception) -> str:
    """What to do about an error in the middle of the work."""
    fix = next((fix for kind, fix in _FIXES.items() if isinstance(error, kind)), None)
    return fix or "see what the cause says, then run the month again"


def may_pass_later(error: Exception) -> bool:
    """Whether an error in the middle of the work may be gone when the same is done again."""
    if isinstance(error, OSError):
        return meaning_of(error)[1]
    state = error.sqlstate if isinstance(error, psycopg.Error | AdbcError) else None
    if state:
        return state.startswith(_PASSING) and state not in _STAYING
    if isinstance(error, AdbcError):  # its connection did not come about, or broke: libpq's words again
        return isinstance(error, AdbcOperationalError) and turned_away(str(error))[1]
    return isinstance(error, psycopg.OperationalError)
