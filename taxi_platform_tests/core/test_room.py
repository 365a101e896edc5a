"""What a disk may still take, and what is said when it may not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from taxi_platform.core.errors import DiskFullError
from taxi_platform.core.room import RESERVE_BYTES, Room, disk_full, full_disk_told, human_bytes, require_room, room_of
from taxi_platform_tests.disks import disk

MONTH = "green 2020-04"


def test_a_large_disk_keeps_a_fixed_reserve_and_a_small_one_a_share_of_itself() -> None:
    assert Room(Path("/"), 10**12, 10**11).reserve == RESERVE_BYTES
    assert Room(Path("/"), 10**12, 10**11).available == 10**11 - RESERVE_BYTES
    assert Room(Path("/"), 10**7, 10**6).reserve == 500_000
    assert Room(Path("/"), 10**7, 100).available == 0


def test_what_would_touch_the_reserve_is_refused_to_the_byte() -> None:
    room = Room(Path("/"), 10**7, 10**6)
    assert room.takes(500_000)
    assert not room.takes(500_001)


def test_a_share_that_does_not_tell_its_size_is_given_the_benefit_of_the_doubt() -> None:
    assert Room(Path("/"), 0, 0).takes(10**12)


def test_more_than_the_disk_holds_is_refused_with_the_figures_and_what_to_do(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "20m") as small:
        require_room(small / "not" / "there" / "yet", 10_000_000)
        with pytest.raises(DiskFullError) as raised:
            require_room(small / "raw", 10**13, about=MONTH, what="the published file")
    assert not raised.value.may_pass_later
    assert str(raised.value) == (
        f"{MONTH}: the disk has no room for the published file of 10.0 TB at {small / 'raw'}. "
        "Cause: 21.0 MB are free, of which 1.0 MB are kept for everybody else. "
        "Fix: point TAXI_DATA_DIR at a folder on a disk with more room, or make room on this one; "
        "then run the month again."
    )


def test_the_place_and_the_setting_can_be_named_by_who_asks(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError) as raised:
        require_room(tmp_path, 10**18, where="the lake", what="the unpacked file", setting="TAXI_LAKE_URL")
    assert "the unpacked file of 1.0 EB at the lake" in str(raised.value)
    assert "Fix: point TAXI_LAKE_URL" in str(raised.value)


def test_a_write_that_fills_the_disk_is_told_with_its_figures_and_others_stay_as_they_are(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "1m") as small:
        path = small / "file"
        with pytest.raises(DiskFullError, match="0 bytes are free") as raised, full_disk_told(path, about=MONTH):
            path.write_bytes(b"x" * 2_000_000)
        assert str(path) in str(raised.value)
    with pytest.raises(FileNotFoundError), full_disk_told(path):
        path.read_bytes()


def test_a_disk_that_holds_as_many_files_as_it_can_says_so_and_not_that_its_bytes_are_used_up(tmp_path: Path) -> None:
    full = pytest.raises(DiskFullError, match="holds as many files as it can")
    with disk(tmp_path / "disk", "16m", "nr_inodes=4") as small, full, full_disk_told(small / "file"):
        for number in range(5):
            (small / str(number)).touch()


def test_a_quota_that_is_used_up_is_not_told_as_a_full_disk(tmp_path: Path) -> None:
    told = str(disk_full(OSError(errno.EDQUOT, "Disk quota exceeded"), tmp_path / "file", about=MONTH))
    assert f"Disk quota exceeded at {tmp_path / 'file'}. Cause: the quota on the disk is used up" in told


def test_the_room_of_a_folder_that_is_not_there_yet_is_that_of_the_nearest_above_it(tmp_path: Path) -> None:
    assert room_of(tmp_path / "a" / "b").folder == tmp_path


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (10**13, "10.0 TB"),
        (10**22, "10,000.0 EB"),
    ],
)
def test_bytes_are_told_in_the_unit_people_would_use(count: int, told: str) -> None:
    assert human_bytes(count) == told
