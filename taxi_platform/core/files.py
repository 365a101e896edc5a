"""Files that are whole or not there: work folders that die with their process, and publishing by rename."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from filelock import FileLock, Timeout

from taxi_platform.core.os_errors import naming
from taxi_platform.core.room import require_room

_CHUNK = 1 << 20


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
    try:
        temporary.replace(final)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _publish_across(temporary, final)
        return
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
    """Copy a file's bytes.

    Returns:
        The SHA-256 of what was copied, in hex.
    """
    digest = hashlib.sha256()
    with source.open("rb") as reader, naming(target), target.open("wb") as writer:
        while chunk := _read(reader, source):
            digest.update(chunk)
            writer.write(chunk)
    return digest.hexdigest()


def _read(reader: BinaryIO, path: Path) -> bytes:
    with naming(path):
        return reader.read(_CHUNK)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
