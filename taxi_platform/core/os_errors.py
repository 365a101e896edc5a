"""What the operating system's refusals mean: each with its own cause and fix, and at the path it is about."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.room import OUT_OF_ROOM, disk_full

_SETTINGS = "TAXI_DATA_DIR (or TAXI_LAKE_URL, TAXI_WAREHOUSE_URL, whichever holds it)"
_AGAIN = "then run the month again"
_WRITABLE = f"point {_SETTINGS} at a folder you can write to"


@dataclass(frozen=True)
class _Meaning:
    cause: str
    fix: str
    may_pass_later: bool = False


_NOT_ALLOWED = _Meaning(
    "it belongs to somebody else, or its permissions do not allow this",
    f"give the user that runs this the right to it (see `ls -ld` of it and of the folders above), or {_WRITABLE}",
)
_TOO_MANY_OPEN = _Meaning(
    "too many files are open at once",
    f"raise the limit (`ulimit -n`) or run fewer months at the same time; {_AGAIN}",
    may_pass_later=True,
)
_GONE = _Meaning(
    "it is not there: somebody removed or renamed it, or its disk is not mounted",
    f"see that the disk is mounted and that nobody else tidies the folder; {_AGAIN}",
)
_WRONG_KIND = _Meaning(
    "there is a file where a folder is needed, or a folder where a file is",
    f"move it out of the way, or point {_SETTINGS} elsewhere",
)
_DEFECT = _Meaning(
    "the disk, or the share it is on, could not read or write: it may be failing",
    f"look at the system's log (`dmesg`), move the data to another disk if it is failing; {_AGAIN}",
)
_OFF_LINE = _Meaning(
    "the network, or the machine at the other end, does not answer",
    f"see that it is up and can be reached; {_AGAIN}",
    may_pass_later=True,
)
_MEANINGS: dict[int, _Meaning] = {
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.EROFS: _Meaning("the file system is mounted read-only", f"mount it for writing, or {_WRITABLE}"),
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _WRONG_KIND,
    errno.EISDIR: _WRONG_KIND,
    errno.EEXIST: _WRONG_KIND,
    errno.ENOTEMPTY: _Meaning("the folder is not empty", "see what is in it, and move it out of the way"),
    errno.ENAMETOOLONG: _Meaning(
        "the path, or a name in it, is longer than the file system allows", f"point {_SETTINGS} at a shorter path"
    ),
    errno.ELOOP: _Meaning("its symbolic links go round in a circle", f"mend the links, or point {_SETTINGS} elsewhere"),
    errno.EXDEV: _Meaning(
        "the two lie on different file systems, and a file cannot be renamed across them",
        f"keep both on one file system, or point {_SETTINGS} at one that holds both",
    ),
    errno.EFBIG: _Meaning(
        "the file is larger than the file system, or the limit of this process (`ulimit -f`), allows",
        f"raise the limit, or point {_SETTINGS} at a file system that holds larger files",
    ),
    errno.EMFILE: _TOO_MANY_OPEN,
    errno.ENFILE: _TOO_MANY_OPEN,
    errno.EIO: _DEFECT,
    errno.ESTALE: _Meaning(
        "the share was mounted anew, or what was open on it is gone",
        f"mount the share again; {_AGAIN}",
        may_pass_later=True,
    ),
    errno.EBUSY: _Meaning(
        "something else holds it, or it is mounted by itself (a single file in a container, say)",
        f"mount the folder instead of the file, or end what holds it; {_AGAIN}",
    ),
    errno.ENOMEM: _Meaning(
        "the machine has not the memory for it", f"run fewer months at the same time; {_AGAIN}", may_pass_later=True
    ),
    errno.ENOLCK: _Meaning(
        "the file system has no locks to give, as some network shares", f"point {_SETTINGS} at a local disk"
    ),
    errno.ENOTSUP: _Meaning(
        "the file system cannot do this, as some network shares", f"point {_SETTINGS} at a local disk"
    ),
    errno.EAGAIN: _Meaning(
        "the machine, or the share, has none of something to give at this moment", _AGAIN, may_pass_later=True
    ),
    errno.ENOTCONN: _Meaning(
        "what serves the mounted folder (FUSE, a share) is not there any more",
        f"mount it again; {_AGAIN}",
        may_pass_later=True,
    ),
    errno.ETIMEDOUT: _OFF_LINE,
    errno.ECONNREFUSED: _OFF_LINE,
    errno.ECONNRESET: _OFF_LINE,
    errno.ECONNABORTED: _OFF_LINE,
    errno.EPIPE: _OFF_LINE,
    errno.EHOSTUNREACH: _OFF_LINE,
    errno.ENETUNREACH: _OFF_LINE,
    errno.EHOSTDOWN: _OFF_LINE,
}
_UNKNOWN = _Meaning("the operating system says no more", f"see that the disk works and is mounted; {_AGAIN}")


def os_error_told(error: OSError, about: str) -> TaxiPlatformError:
    """An operating system's error as people can act on it.

    Args:
        error: What it said.
        about: The dataset and month, or table, that was worked on.
    """
    # Of a rename or a copy the second path is the one that was to be made: what goes wrong goes wrong there.
    first, second = _shown(error.filename), _shown(error.filename2)
    if error.errno in OUT_OF_ROOM and (first or second):
        return disk_full(error, Path(second or first), about=about, setting=_SETTINGS)
    meaning = _meaning_of(error)
    if error.errno in OUT_OF_ROOM:
        meaning = _Meaning("a disk is full", f"make room (`df -h` says which one is full); {_AGAIN}")
    words = error.strerror or next(iter(str(error).splitlines()), "") or type(error).__name__
    return TaxiPlatformError(
        words,
        about=about,
        where=" -> ".join(filter(None, (first, second))) or "an unnamed file",
        cause=meaning.cause,
        fix=meaning.fix,
        may_pass_later=meaning.may_pass_later,
    )


def meaning_of(error: OSError) -> tuple[str, bool]:
    """The likely cause of an operating system's error, and whether the very same may succeed later."""
    meaning = _meaning_of(error)
    return meaning.cause, meaning.may_pass_later


def passing_in(said: str) -> tuple[str, str] | None:
    """The cause and fix of an operating system's refusal that a library repeats in words, if it may pass later.

    Args:
        said: One line of the library's; the system's own words are at its end.
    """
    for number, meaning in _MEANINGS.items():
        if meaning.may_pass_later and said.rstrip(" .").endswith(os.strerror(number)):
            return meaning.cause, meaning.fix
    return None


@contextmanager
def naming(path: Path) -> Generator[None, None, None]:
    """Give the operating system's errors in the block the path they are about: a failed write names none by itself."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _meaning_of(error: OSError) -> _Meaning:
    return _MEANINGS.get(error.errno or 0, _UNKNOWN)


def _shown(name: str | bytes | int | None) -> str:
    if name is None or isinstance(name, int):  # a number is that of an open file
        return ""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
