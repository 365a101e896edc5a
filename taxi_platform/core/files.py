"""Files that are whole or not there: work folders that die with their process, and publishing by rename."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_LOCK = ".alive"
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
    prefix = f".{name}.work-"
    for other in parent.glob(f"{prefix}*"):
        _remove_if_dead(other)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with FileLock(folder / _LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_dead(folder: Path) -> None:
    # Without its lock file a folder was either just made or is just going away: leave it to its owner.
    if (folder / _LOCK).exists():
        try:
            with FileLock(folder / _LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except Timeout:
            pass


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
