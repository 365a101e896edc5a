"""How many months at once goes by cores and by memory, whatever of the two is less, of the machine or the container."""

from pathlib import Path

import pytest

from taxi_platform.core.machine import Width, cores, memory

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("has", "free", "expected"),
    [
        (8, 4 * GB, 4),
        (8, 64 * GB, 8),
        (64, 640 * GB, 8),
        (2, 64 * GB, 2),
        (1, 64 * GB, 2),
        (8, GB, 1),
        (8, 0, 1),
        (4, None, 4),
    ],
)
def test_months_at_once_are_bounded_by_memory_and_there_is_always_one(
    has: int, free: int | None, expected: int
) -> None:
    assert Width(has, free).months == expected


def system(root: Path, cgroup: str, **files: str) -> Path:
    """What a system says of itself, below a folder."""
    told = {"proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n", "proc/self/cgroup": cgroup} | files
    for name, text in told.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_memory_is_what_the_machine_has_left(tmp_path: Path) -> None:
    assert memory(system(tmp_path, "0::/\n", **{"sys/fs/cgroup/memory.max": "max\n"})) == 8_000_000 * 1024
    assert memory(tmp_path / "nothing") is None


def test_memory_is_no_more_than_a_container_may_have(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.max": f"{4 * GB}\n", "sys/fs/cgroup/memory.stat": f"anon {GB}\nfile {2 * GB}\n"}
    assert memory(system(tmp_path, "0::/\n", **files)) == 3 * GB


def test_memory_is_no_more_than_a_group_may_have_before_it_is_slowed_down(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.high": f"{2 * GB}\n"}
    assert memory(system(tmp_path, "0::/\n", **files)) == 2 * GB


def test_memory_is_no_more_than_any_group_around_this_one_may_have(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/a/memory.max": f"{2 * GB}\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}
    assert memory(system(tmp_path, "0::/a/b\n", **files)) == 2 * GB


def test_memory_of_a_group_of_version_1_is_bounded_too(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": f"{GB}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/docker/x/memory.stat": f"total_rss {GB // 2}\n",
    }
    told = "5:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n0::/\n"
    assert memory(system(tmp_path, told, **files)) == GB // 2


def test_a_container_that_does_not_see_its_own_group_is_bounded_by_the_one_it_sees(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GB}\n"}
    assert memory(system(tmp_path, "3:memory:/docker/unseen\n", **files)) == GB


@pytest.mark.parametrize(
    ("told", "name", "text"),
    [
        ("0::/\n", "sys/fs/cgroup/cpu.max", "100000 100000\n"),
        ("4:cpu,cpuacct:/\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n"),
    ],
)
def test_cores_are_no_more_than_a_container_may_use(tmp_path: Path, told: str, name: str, text: str) -> None:
    files = {name: text, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n"}
    assert cores(system(tmp_path, told, **files)) == 1


def test_cores_are_those_of_the_machine_without_a_bound(tmp_path: Path) -> None:
    free = cores(tmp_path / "nothing")
    assert free >= 1
    assert cores(system(tmp_path, "0::/\n", **{"sys/fs/cgroup/cpu.max": "max 100000\n"})) == free
