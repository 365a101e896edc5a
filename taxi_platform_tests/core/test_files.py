"""Work folders die with their process, and files are published whole."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from taxi_platform.core.errors import DiskFullError
from taxi_platform.core.files import copy_hashed, link_or_copy, publish, sha256_of, work_folder, write_text
from taxi_platform_tests.disks import disk

NAME = "2020-11.parquet"
_REPOSITORY = Path(__file__).parents[2]

_WORKER = """
import sys
from pathlib import Path
from taxi_platform.core.files import work_folder

with work_folder(Path(sys.argv[1]), sys.argv[2]) as work:
    (work / "half").write_text("half")
    print(work, flush=True)
    sys.stdin.read()
"""


def start_worker(parent: Path, name: str = NAME) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds a work folder until its input ends."""
    command = [sys.executable, "-c", _WORKER, str(parent), name]
    worker = subprocess.Popen(command, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    return worker, Path(worker.stdout.readline().strip())


def test_a_work_folder_is_private_empty_and_beside_what_is_published(tmp_path: Path) -> None:
    with work_folder(tmp_path / "new", NAME) as work:
        assert work.parent == tmp_path / "new"
        assert work.name.startswith(".")
        assert list(work.iterdir()) == []
        with work_folder(tmp_path / "new", NAME) as other:
            assert other != work
        assert work.is_dir()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_work_folder_goes_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), work_folder(tmp_path, NAME) as work:
        (work / "half").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_by_the_next_to_work_on_the_same_name(tmp_path: Path) -> None:
    worker, left = start_worker(tmp_path)
    with worker:
        worker.kill()
    assert (left / "half").exists()

    with work_folder(tmp_path, "2020-12.parquet"):
        assert left.exists()  # another name's
    with work_folder(tmp_path, NAME):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    worker, held = start_worker(tmp_path)
    with worker:
        with work_folder(tmp_path, NAME) as work:
            assert work != held
        assert (held / "half").read_text() == "half"
    assert worker.returncode == 0
    assert list(tmp_path.iterdir()) == []


_HURRIED_WORKER = """
import sys
from pathlib import Path
from taxi_platform.core.files import write_text

for number in range(200):
    write_text(Path(sys.argv[1]), f"{sys.argv[2]} {number}")
"""


def test_many_processes_that_work_on_one_name_do_not_disturb_each_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HURRIED_WORKER, str(tmp_path / NAME)]
    workers = [subprocess.Popen([*command, str(number)], cwd=_REPOSITORY) for number in range(4)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0, 0]
    assert (tmp_path / NAME).read_text().endswith(" 199")
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_publishing_moves_a_file_to_its_place_and_makes_the_folder_for_it(tmp_path: Path) -> None:
    (tmp_path / "temporary").write_text("new")
    publish(tmp_path / "temporary", tmp_path / "far" / "away" / NAME)
    assert (tmp_path / "far" / "away" / NAME).read_text() == "new"
    assert not (tmp_path / "temporary").exists()


def test_publishing_replaces_a_file_and_leaves_the_old_one_to_who_is_reading_it(tmp_path: Path) -> None:
    final = tmp_path / NAME
    final.write_text("old")
    with final.open() as reader:
        (tmp_path / "temporary").write_text("new")
        publish(tmp_path / "temporary", final)
        assert reader.read() == "old"
    assert final.read_text() == "new"


def test_publishing_onto_another_file_system_works_and_leaves_nothing_behind(tmp_path: Path) -> None:
    body = os.urandom(3_000_000)
    (tmp_path / "temporary").write_bytes(body)
    with disk(tmp_path / "quarantine") as other:
        (other / NAME).write_text("old")
        with (other / NAME).open() as reader:
            publish(tmp_path / "temporary", other / NAME)
            assert reader.read() == "old"
        assert (other / NAME).read_bytes() == body
        assert [path.name for path in other.iterdir()] == [NAME]
    assert not (tmp_path / "temporary").exists()


def test_publishing_onto_another_file_system_without_room_is_refused_and_the_old_file_stands(tmp_path: Path) -> None:
    (tmp_path / "temporary").write_bytes(b"x" * 3_000_000)
    with disk(tmp_path / "quarantine", "2m") as other:
        (other / NAME).write_text("old")
        with pytest.raises(DiskFullError, match=r"3\.0 MB") as raised:
            publish(tmp_path / "temporary", other / NAME)
        assert str(other / NAME) in str(raised.value)
        assert (other / NAME).read_text() == "old"
        assert [path.name for path in other.iterdir()] == [NAME]
    assert (tmp_path / "temporary").exists()


_KILLED_ACROSS = """
import os, sys
from pathlib import Path
from taxi_platform.core import files

def die(source, target):
    target.write_bytes(b"half")
    os.kill(os.getpid(), 9)

files.copy_hashed = die
files.publish(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_process_killed_while_it_publishes_onto_another_file_system_leaves_the_old_file_and_the_next_tidies_up(
    tmp_path: Path,
) -> None:
    (tmp_path / "temporary").write_text("new")
    with disk(tmp_path / "quarantine") as other:
        (other / NAME).write_text("old")
        paths = [str(tmp_path / "temporary"), str(other / NAME)]
        assert subprocess.run([sys.executable, "-c", _KILLED_ACROSS, *paths], cwd=_REPOSITORY).returncode == -9
        assert (other / NAME).read_text() == "old"

        publish(tmp_path / "temporary", other / NAME)
        assert (other / NAME).read_text() == "new"
        assert [path.name for path in other.iterdir()] == [NAME]


def test_a_copy_that_fills_its_disk_names_the_copy(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 2_000_000)
    with disk(tmp_path / "lake", "1m") as small, pytest.raises(OSError, match="No space left") as raised:
        copy_hashed(tmp_path / "source", small / "copy")
    assert raised.value.filename == str(small / "copy")


def test_readers_of_a_file_that_is_replaced_all_the_time_never_see_half_of_it(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    versions = ["a" * 100_000, "b" * 50_000]
    write_text(path, versions[0])
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            for version in versions:
                write_text(path, version)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        seen = {path.read_text(encoding="utf-8") for _ in range(2000)}
    finally:
        stop.set()
        writer.join()
    assert seen <= set(versions)
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "record.json", "Müller")
    assert (tmp_path / "record.json").read_bytes() == "Müller".encode()


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_a_copy_is_equal_and_its_hash_is_that_of_the_bytes(tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    expected = hashlib.sha256(source.read_bytes()).hexdigest()
    assert copy_hashed(source, target) == sha256_of(source) == sha256_of(target) == expected
    assert target.read_bytes() == source.read_bytes()


def bytes_read() -> int:
    """What this process has read so far, from disks or their caches."""
    (line,) = (it for it in Path("/proc/self/io").read_text().splitlines() if it.startswith("rchar"))
    return int(line.split()[1])


def named_once_more(path: Path) -> Path:
    """A file that was hashed, then linked, then moved, as a month's file is on its way to the lake."""
    path.write_bytes(os.urandom(1_000_000))
    time.sleep(0.05)  # older than a tick of the file system's clock
    sha256_of(path)
    link_or_copy(path, path.with_name("link"))
    publish(path.with_name("link"), path.with_name("final"))
    return path.with_name("final")


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="this system does not count what a process reads")
def test_a_file_that_only_got_another_name_is_not_read_again(tmp_path: Path) -> None:
    final = named_once_more(tmp_path / "file")
    before = bytes_read()
    known = sha256_of(final)
    assert bytes_read() - before < 100_000
    assert known == hashlib.sha256(final.read_bytes()).hexdigest()


def test_a_file_that_was_changed_under_its_new_name_is_read_again_whatever_time_it_shows(tmp_path: Path) -> None:
    final = named_once_more(tmp_path / "file")
    shown = final.stat()
    with final.open("r+b") as file:
        file.write(b"other")
    os.utime(final, ns=(shown.st_atime_ns, shown.st_mtime_ns))
    assert sha256_of(final) == sha256_of(tmp_path / "file") == hashlib.sha256(final.read_bytes()).hexdigest()


def test_a_file_that_was_changed_before_it_got_its_name_is_read_again(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"one")
    time.sleep(0.05)
    sha256_of(path)
    path.write_bytes(b"two")
    link_or_copy(path, link)
    assert sha256_of(link) == hashlib.sha256(b"two").hexdigest()
