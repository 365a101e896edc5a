"""How much a disk may still take: what is free, less a reserve that is left to everybody else.

Whoever is about to write something large asks first (`require_room`). Whoever does not know how large it will be asks
while it grows. Whom the disk refuses all the same tells it by `disk_full`.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core.errors import DiskFullError

#: What is left free on any disk: a full one also stops the database, the run queue and the log beside the platform.
RESERVE_BYTES = 256_000_000
#: On small disks the reserve is this share of the disk instead.
RESERVE_SHARE = 0.05
#: What the operating system says when a disk, or somebody's share of it, is used up.
OUT_OF_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


@dataclass(frozen=True)
class Room:
    """The room on the disk that holds a folder.

    Attributes:
        folder: The folder, or where it is not there yet, the nearest one above that is.
        total: Bytes the disk holds; 0 where it does not tell, as some network shares do.
        free: Bytes free to this user.
    """

    folder: Path
    total: int
    free: int

    @property
    def reserve(self) -> int:
        """Bytes that are left to everybody else."""
        return min(RESERVE_BYTES, int(self.total * RESERVE_SHARE))

    @property
    def available(self) -> int:
        """Bytes that may be written."""
        return max(0, self.free - self.reserve)

    def takes(self, needed_bytes: int) -> bool:
        """Whether so many bytes may be written; a disk that does not tell is given the benefit of the doubt."""
        return not self.total or needed_bytes <= self.available

    def __str__(self) -> str:
        """The figures, as people read them."""
        return f"{human_bytes(self.free)} are free, of which {human_bytes(self.reserve)} are kept for everybody else"


def room_of(folder: Path) -> Room:
    """The room on the disk that holds `folder`, whether or not the folder is there yet.

    Raises:
        OSError: The disk cannot be asked.
    """
    absolute = folder.absolute()
    there = next((it for it in (absolute, *absolute.parents) if it.exists()), absolute)
    usage = shutil.disk_usage(there)
    return Room(there, usage.total, usage.free)


def require_room(
    folder: Path,
    needed_bytes: int,
    *,
    about: str | None = None,
    where: str | None = None,
    what: str = "the file",
    setting: str = "TAXI_DATA_DIR",
) -> None:
    """Make sure that the disk of `folder` takes so many bytes more and keeps its reserve.

    Args:
        folder: Where they are to be written; it need not exist yet.
        needed_bytes: How many.
        about: The dataset and month, or table, they belong to.
        where: What the error shows as the place; the folder itself, if nothing is said.
        what: What needs the room, such as `the unpacked file`.
        setting: The variable by which the folder can be put on another disk.

    Raises:
        DiskFullError: It does not.
    """
    room = room_of(folder)
    if not room.takes(needed_bytes):
        raise DiskFullError(
            f"the disk has no room for {what} of {human_bytes(needed_bytes)}",
            about=about,
            where=where or str(folder),
            cause=f"{room}",
            fix=_fix(setting),
        )


def disk_full(error: OSError, path: Path, *, about: str | None = None, setting: str = "TAXI_DATA_DIR") -> DiskFullError:
    """The error for a disk that refused a write (`OUT_OF_ROOM`), with the figures of that disk.

    Args:
        error: What the operating system said.
        path: What was written.
        about: The dataset and month, or table, it belongs to.
        setting: The variable by which the folder can be put on another disk.
    """
    return DiskFullError(
        error.strerror or "the disk is full",
        about=about,
        where=str(path),
        cause="the quota on the disk is used up" if error.errno == errno.EDQUOT else _why_full(path.parent),
        fix=_fix(setting),
    )


@contextmanager
def full_disk_told(
    path: Path, *, about: str | None = None, setting: str = "TAXI_DATA_DIR"
) -> Generator[None, None, None]:
    """Where the disk is full in the block, say so by a `DiskFullError` with its figures.

    Args:
        path: What the block writes.
        about: The dataset and month, or table, it belongs to.
        setting: The variable by which the folder can be put on another disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in OUT_OF_ROOM:
            raise
        raise disk_full(error, path, about=about, setting=setting) from error


def human_bytes(count: int) -> str:
    """A number of bytes as people read it, such as `12.3 GB`."""
    size, unit = float(count), 0
    while size >= 999.95 and unit < len(_UNITS) - 1:  # what would be rounded to 1,000.0 has its place in the next unit
        size, unit = size / 1000, unit + 1
    return f"{size:,.1f} {_UNITS[unit]}" if unit else f"{count:,} bytes"


def _why_full(folder: Path) -> str:
    try:
        room = room_of(folder)
        files_left = os.statvfs(room.folder) if hasattr(os, "statvfs") else None
    except OSError:
        return "nothing more can be written there"
    if files_left is not None and files_left.f_files and not files_left.f_favail:
        return f"it holds as many files as it can ({room})"
    if room.available:
        return f"the disk takes no more files, or no more of this user's ({room})"
    return f"the disk is full: {room}"


def _fix(setting: str) -> str:
    return f"point {setting} at a folder on a disk with more room, or make room on this one; then run the month again"
