"""What the operating system's refusals are told as."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taxi_platform.core.errors import DiskFullError
from taxi_platform.core.os_errors import naming, os_error_told
from taxi_platform_tests.disks import disk, nobodys_folder, without_privileges

MONTH = "green 2020-04"


def told_of(error: OSError) -> str:
    return str(os_error_told(error, MONTH))


def test_a_folder_that_may_not_be_written_to_is_told_as_somebody_elses_and_not_as_full() -> None:
    with nobodys_folder() as folder, without_privileges():
        closed = folder / "closed"
        closed.mkdir(mode=0o500)
        with pytest.raises(PermissionError) as raised:
            (closed / "file").touch()
        told = told_of(raised.value)
    assert f"Permission denied at {closed / 'file'}" in told
    assert "belongs to somebody else" in told
    assert "full" not in told


def test_a_file_system_that_is_mounted_read_only_is_told_as_that(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "1m", "ro") as small, pytest.raises(OSError, match="Read-only") as raised:
        (small / "file").touch()
    assert "Cause: the file system is mounted read-only" in told_of(raised.value)


def test_a_copy_that_fills_a_disk_is_told_at_the_disk_and_not_at_what_was_copied(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 2_000_000)
    with disk(tmp_path / "disk", "1m") as small:
        with pytest.raises(OSError, match="No space left") as raised:
            shutil.copyfile(tmp_path / "source", small / "copy")
        told = os_error_told(raised.value, MONTH)
    assert isinstance(told, DiskFullError)
    assert f"No space left on device at {small / 'copy'}. Cause: the disk is full: 0 bytes are free" in str(told)
    assert str(tmp_path / "source") not in str(told)


def test_a_full_disk_that_nobody_named_is_still_told_as_full() -> None:
    assert "Cause: a disk is full" in told_of(OSError(errno.ENOSPC, "No space left on device"))


def test_a_rename_across_file_systems_is_told_as_that_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    with disk(tmp_path / "disk", "1m") as other, pytest.raises(OSError, match="cross-device") as raised:
        (tmp_path / "here").rename(other / "there")
    told = told_of(raised.value)
    assert f"{tmp_path / 'here'} -> {other / 'there'}" in told
    assert "Cause: the two lie on different file systems" in told


@contextmanager
def limit(kind: int, most: int) -> Generator[None, None, None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def test_too_many_open_files_are_told_as_that_and_may_pass(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with limit(resource.RLIMIT_NOFILE, 3), pytest.raises(OSError, match="Too many open files") as raised:
        (tmp_path / "file").open()
    told = os_error_told(raised.value, MONTH)
    assert "ulimit -n" in str(told)
    assert told.may_pass_later


def test_a_file_larger_than_it_may_be_is_told_at_its_path_and_not_as_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with limit(resource.RLIMIT_FSIZE, 1000), pytest.raises(OSError, match="File too large") as raised, naming(path):
        path.write_bytes(b"x" * 2000)
    assert f"File too large at {path}" in told_of(raised.value)
    assert "ulimit -f" in told_of(raised.value)


def really_raised(path: Path, kind: str) -> OSError:
    if kind == "a name that is too long":
        path = path.with_name("x" * 300)
    elif kind == "a file for a folder":
        path.touch()
        path = path / "below"
    elif kind == "a circle of links":
        path.symlink_to(path)
    with pytest.raises(OSError) as raised:
        path.open()
    return raised.value


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("a name that is too long", "longer than the file system allows"),
        ("a file for a folder", "there is a file where a folder is needed"),
        ("a circle of links", "its symbolic links go round in a circle"),
        ("nothing there", "somebody removed or renamed it, or its disk is not mounted"),
    ],
)
def test_each_refusal_has_its_own_cause(tmp_path: Path, kind: str, cause: str) -> None:
    told = told_of(really_raised(tmp_path / "path", kind))
    assert told.startswith(f"{MONTH}: ")
    assert cause in told
    assert "Fix: " in told


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.EIO, "it may be failing"),
        (errno.ESTALE, "mounted anew"),
        (errno.EBUSY, "something else holds it"),
        (errno.ECONNREFUSED, "does not answer"),
        (errno.ENOTCONN, "what serves the mounted folder"),
        (errno.EAGAIN, "at this moment"),
        (errno.ENOLCK, "no locks to give"),
        (9999, "says no more"),
    ],
)
def test_refusals_that_no_test_can_provoke_have_theirs(number: int, cause: str) -> None:
    assert cause in told_of(OSError(number, "Words", "/data/file"))


def test_an_error_without_a_number_keeps_its_words() -> None:
    assert f"{MONTH}: Invalid Parquet at an unnamed file" in told_of(OSError("Invalid Parquet\nand a stack"))


def test_a_failed_write_is_given_its_path_and_an_error_that_has_one_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Bad file") as raised, naming(tmp_path):
        os.write(-1, b"")
    assert raised.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError) as raised, naming(tmp_path):
        (tmp_path / "gone").open()
    assert raised.value.filename == str(tmp_path / "gone")
