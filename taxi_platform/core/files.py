"""Files that are whole or not there: work folders that die with their process, and publishing by rename."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Self
from uuid import uuid4

from filelock import FileLock, Timeout

from taxi_platform.core.os_errors import naming
from taxi_platform.core.room import require_room

_CHUNK = 1 << 20
#: The coarsest clock of a file system in use, ns.
_TICK = 20_000_000
#: So many hashes are remembered; a run has some ten files.
_MOST_HASHED = 1_000


@contextmanager
def work_folder(parent: Path, name: str) -> Generator[Path, None, None]:
    """A private folder beside what is to be published, gone when the block ends, however it ends.

    A process killed inside the block leaves its folder behind; the next one to work on the same `name` removes it. The
    dead are told from the living by a lock that the operating system drops with the process.

    Args:
        parent: Where the folder is made; on the file system of what will be published from it.
        name: What is worked on, such as `2020-11.parquet`.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for other in parent.glob(f".{name}.work-*.lock"):
        with suppress(Timeout), FileLock(other, timeout=0):
            _remove(other)
    lock = parent / f".{name}.work-{uuid4().hex}.lock"
    # The lock stands beside the folder and is there before and after it: nobody ever finds a folder without its lock.
    with FileLock(lock):
        folder = _folder_of(lock)
        try:
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            _remove(lock)


def _folder_of(lock: Path) -> Path:
    return lock.with_suffix("")


def _remove(lock: Path) -> None:
    shutil.rmtree(_folder_of(lock), ignore_errors=True)
    with suppress(OSError):
        lock.unlink()


def publish(temporary: Path, final: Path) -> None:
    """Put a finished file where readers look for it: on disk first, then by one rename, so they see old or new.

    Where the two lie on different file systems (somebody mounted one below the data folder), the file is copied to a
    work folder beside its place first: a rename cannot leave a file system.

    Raises:
        DiskFullError: The other file system has no room for the copy.
        OSError: The file cannot be put there.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    _sync(temporary)
    before = FileState.of(temporary)
    try:
        temporary.replace(final)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _publish_across(temporary, final)
        return
    _still_hashed(before, final)
    _sync_folder(final.parent)


def _publish_across(temporary: Path, final: Path) -> None:
    require_room(final.parent, temporary.stat().st_size, where=str(final))
    with work_folder(final.parent, final.name) as work:
        copy = work / "copy"  # not named .parquet: readers of many files look into hidden folders, too
        copy_hashed(temporary, copy)
        _sync(copy)
        copy.replace(final)
    _sync_folder(final.parent)
    temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a small text file so that readers see the old or the new one, whole."""
    with work_folder(path.parent, path.name) as work:
        with naming(path):
            (work / path.name).write_text(text, encoding="utf-8")
        publish(work / path.name, path)


def copy_hashed(source: Path, target: Path) -> str:
    """Copy a file's bytes to where nobody else writes.

    Returns:
        The SHA-256 of what was copied, in hex.
    """
    digest = hashlib.sha256()
    with source.open("rb") as reader, naming(target), target.open("wb") as writer:
        while chunk := _read(reader, source):
            digest.update(chunk)
            writer.write(chunk)
    _remember(FileState.of(target), digest.hexdigest())
    return digest.hexdigest()


def link_or_copy(source: Path, target: Path) -> None:
    """Make a file appear a second time: by a link where the file system has them, so that no byte is stored twice.

    Args:
        source: The file; whoever replaces it does so by a rename, never in place.
        target: Where there is no file yet.

    Raises:
        OSError: It cannot be made.
    """
    before = FileState.of(source)
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links, or a file with too many
        require_room(target.parent, before.size, where=str(target))
        copy_hashed(source, target)
    else:
        _still_hashed(before, target)


def _read(reader: BinaryIO, path: Path) -> bytes:
    with naming(path):
        return reader.read(_CHUNK)


@dataclass(frozen=True)
class FileState:
    """What the operating system says of a file: another file in its place, or another content, is another state.

    Attributes:
        device: The file system it is on.
        inode: Which file of it; one that takes another's place by a rename has another.
        size: Bytes.
        modified: When its bytes were changed last, ns.
        changed: When anything of it was, ns; nobody can set that back.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, file: Path | int) -> Self:
        """The state of the file at a path, or of one that is open.

        Raises:
            OSError: There is none.
        """
        status = os.stat(file)  # noqa: PTH116 (a path has no open file)
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_file_of(self, other: FileState) -> bool:
        """Whether both are of one file, whatever was done to it between."""
        return (self.device, self.inode) == (other.device, other.inode)


_hashed: dict[FileState, str] = {}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex. One that was hashed by this process and has not changed is not read again."""
    with path.open("rb") as file:
        state = FileState.of(file.fileno())
        if (known := _hashed.get(state)) is not None:
            return known
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        # Clocks of file systems tick: what was changed just now may be changed again, and look the same.
        if FileState.of(file.fileno()) == state and time.time_ns() - state.changed > _TICK:
            _remember(state, digest)
    return digest


def _remember(state: FileState, digest: str) -> None:
    if len(_hashed) >= _MOST_HASHED:
        _hashed.clear()
    _hashed[state] = digest


def _still_hashed(before: FileState, path: Path) -> None:
    """A name that a file got from us, or a second one, changes its state and not its bytes.

    Args:
        before: The file's state before that.
        path: Its new name.
    """
    digest, now = _hashed.get(before), FileState.of(path)
    only_named = now == replace(before, changed=now.changed)
    # Bytes that are changed from now on are told by the time of that, which is another than this one by then.
    if digest is not None and only_named and time.time_ns() - before.modified > _TICK:
        _remember(now, digest)


def _sync(path: Path) -> None:
    with path.open("rb") as file, naming(path):  # a disk may say only now that it is full
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
