"""Files that are whole or not there: work folders that die with their process, and publishing by rename."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

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
    """Put a finished file where readers look for it: on disk first, then by one rename, so they see old or new."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(final)
    _sync_folder(final.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small text file so that readers see the old or the new one, whole."""
    with work_folder(path.parent, path.name) as work:
        (work / path.name).write_text(text, encoding="utf-8")
        publish(work / path.name, path)


def copy_hashed(source: Path, target: Path) -> str:
    """Copy a file's bytes.

    Returns:
        The SHA-256 of what was copied, in hex.
    """
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
