"""Disks that are small, read-only or another's: real ones, as far as this machine lets a test have them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NOBODY = 65534


@contextmanager
def disk(folder: Path, size: str = "16m", *options: str) -> Generator[Path, None, None]:
    """A file system of its own at `folder`, of some size; gone when the block ends.

    Args:
        folder: Where it is mounted; made if it is not there.
        size: How much it holds, as `mount` understands it.
        options: Further mount options, such as `nr_inodes=20`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = ",".join((f"size={size}", *options))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", told, "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def nobodys_folder() -> Generator[Path, None, None]:
    """A folder everybody may use and reach: pytest's own are closed to all but their owner."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(0o700)


@contextmanager
def without_privileges() -> Generator[None, None, None]:
    """Not as root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
