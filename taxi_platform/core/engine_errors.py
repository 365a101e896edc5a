"""What an error of DuckDB means to the person who reads it: why it came, and what to do about it.

DuckDB says by its classes what kind of thing went wrong, and where one class has several reasons, by its words.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

import duckdb

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.os_errors import passing_in
from taxi_platform.core.showing import shown

_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "max_temp_directory_size")
_FORBIDDEN = (os.strerror(errno.EACCES), os.strerror(errno.EPERM), os.strerror(errno.EROFS))
_HELD = ("could not set lock", "conflicting lock", "already opened in process", "being used by another process")


@dataclass(frozen=True)
class _Meaning:
    """What a kind of error is to people.

    Attributes:
        what: What happened.
        why: The likely cause; what DuckDB says is added to it.
        fix: What to do.
        may_pass_later: Whether the same may succeed later.
        is_ours: Whether it is a mistake of the platform, for which its stack trace is needed.
    """

    what: str
    why: str
    fix: str
    may_pass_later: bool = False
    is_ours: bool = False


_DISK = _Meaning(
    "the disk is full",
    "there is no room left for the month, or for what does not fit into memory",
    "make room where TAXI_DATA_DIR is (a month needs some fifteen times the size of its csv.gz), then run it again",
)
_PERMISSION = _Meaning(
    "a file may not be read or written",
    "it, or its folder, belongs to somebody else or is read-only",
    "give this user the file, or point TAXI_DATA_DIR and TAXI_WAREHOUSE_URL elsewhere, then run the month again",
)
_LOCK = _Meaning(
    "another process holds the file",
    "a DuckDB shell, a notebook or another run has it open",
    "close it, then run the month again",
    may_pass_later=True,
)
_BUG = _Meaning(
    "DuckDB refused a query of the platform",
    "a mistake in the platform, as the stack trace shows",
    "report it, with the stack trace",
    is_ours=True,
)
#: The first class an error is of counts.
_MEANINGS: tuple[tuple[tuple[type[duckdb.Error], ...], _Meaning], ...] = (
    (
        (duckdb.OutOfMemoryException,),
        _Meaning(
            "the memory a run may take is used up",
            "a row, or a value, of the file is far larger than any of TLC's, or the machine has no memory left",
            "run fewer months at a time; if this month alone fails, look at its file for lines or values of many MB, "
            "or for hundreds of columns that were joined to it",
        ),
    ),
    (
        (duckdb.HTTPException, duckdb.ConnectionException),
        _Meaning(
            "a file could not be reached",
            "the network or the server that has it",
            "see that it can be reached, then run the month again",
            may_pass_later=True,
        ),
    ),
    (
        (duckdb.IOException,),
        _Meaning(
            "a file could not be read or written",
            "it was removed or changed while it was read, or the disk is failing",
            "run the month again; if it stays so, delete the month's folder below raw and have it fetched anew",
        ),
    ),
    (
        (duckdb.DataError, duckdb.InvalidInputException),
        _Meaning(
            "the file holds something that cannot be read",
            "the file is damaged, or is not what its name and header say",
            "look at what is named; delete the month's folder below raw to have it fetched anew, then run it again",
        ),
    ),
    (
        (duckdb.TransactionException, duckdb.SerializationException),
        _Meaning(
            "somebody else changed the table at the same time",
            "two runs, or a run and a person, write to the same table",
            "run the month again when the other has ended",
            may_pass_later=True,
        ),
    ),
    (
        (duckdb.InterruptException,),
        _Meaning("the query was interrupted", "somebody ended the run", "run the month again"),
    ),
    (
        (duckdb.FatalException, duckdb.InternalError),
        _Meaning(
            "DuckDB itself failed",
            "a mistake in DuckDB, a damaged database file, or failing memory",
            "run the month again; if it stays so, report it with the stack trace",
            is_ours=True,
        ),
    ),
    ((duckdb.PermissionException,), _PERMISSION),
    (
        (duckdb.NotSupportedError,),
        _Meaning(
            "DuckDB cannot do this",
            "the file uses a coding or a type that it does not know, or a mistake in the platform",
            "look at what is named; if it is not of the file, report it with the stack trace",
            is_ours=True,
        ),
    ),
)


def is_mistake(error: duckdb.Error) -> bool:
    """Whether the error is a mistake in a program, and not in a file or on a machine."""
    return _meaning(error).is_ours


def may_pass_later(error: duckdb.Error) -> bool:
    """Whether the same may succeed later."""
    return _meaning(error).may_pass_later


def explained(error: duckdb.Error, about: str) -> TaxiPlatformError:
    """An error of DuckDB as one people are meant to read.

    Args:
        error: What DuckDB raised.
        about: The dataset and month, or table, it happened to.
    """
    meaning = _meaning(error)
    said = shown((str(error).strip() or type(error).__name__).partition("\n")[0], 500)
    return TaxiPlatformError(
        meaning.what,
        about=about,
        cause=f"{meaning.why}. DuckDB says: {said}",
        fix=meaning.fix,
        may_pass_later=meaning.may_pass_later,
    )


def _meaning(error: duckdb.Error) -> _Meaning:
    said = str(error)
    if isinstance(error, duckdb.OperationalError | duckdb.FatalException):
        for words, meaning in ((_FULL, _DISK), (_HELD, _LOCK), (_FORBIDDEN, _PERMISSION)):
            if any(word.casefold() in said.casefold() for word in words):
                return meaning
    if isinstance(error, duckdb.IOException) and (passing := passing_in(said.strip().partition("\n")[0])):
        return _Meaning("a file could not be read or written", *passing, may_pass_later=True)
    return next((meaning for kinds, meaning in _MEANINGS if isinstance(error, kinds)), _BUG)
