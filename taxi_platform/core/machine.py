"""What this machine, or the container it is for us, has to work with: cores and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

#: What a run takes at most, in bytes: measured with months of 14 million rows.
RUN_BYTES = 900_000_000
#: Months at once, whatever there is: the disk has to keep up.
_WIDEST = 8
#: More than any machine has: how version 1 of control groups says that there is no limit.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class Width:
    """How many months at once a machine is given.

    Attributes:
        cores: Of the processor.
        memory: What is free of it, in bytes; None if nobody knows.
    """

    cores: int
    memory: int | None

    @classmethod
    def here(cls) -> Self:
        """That of this machine."""
        return cls(cores(), memory())

    @property
    def months(self) -> int:
        """What is for the best: two or as many as cores, but no more than the memory bears."""
        wished = min(max(2, self.cores), _WIDEST)
        return wished if self.memory is None else max(1, min(wished, self.memory // RUN_BYTES))

    @property
    def backfill(self) -> int:
        """How many of them a backfill gets: all but one, which is for the newest month; of two, both."""
        return self.months - 1 if self.months > 2 else self.months

    def __str__(self) -> str:
        """It and why, for people."""
        told = "memory unknown" if self.memory is None else f"{self.memory / 1e9:.1f} GB of memory free"
        return f"{self.months} months at once: {self.cores} cores, {told}, {RUN_BYTES / 1e9:.1f} GB a month"


def cores(root: Path = Path("/")) -> int:
    """How many cores this process may use.

    Args:
        root: Where the system's files lie.
    """
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _groups(root, "cpu"):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        quota, period = quota or _text(folder / "cpu.cfs_quota_us"), period or _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit():
            found = min(found, max(1, round(int(quota) / int(period))))
    return found


def memory(root: Path = Path("/")) -> int | None:
    """What is free of the memory, in bytes, within the limits of the container; None if the system does not say.

    Args:
        root: Where the system's files lie.
    """
    told = dict(line.split(":", 1) for line in _text(root / "proc" / "meminfo").splitlines() if ":" in line)
    found: list[int] = []
    with suppress(KeyError, ValueError, IndexError):
        found.append(int(told["MemAvailable"].split()[0]) * 1024)
    for folder in _groups(root, "memory"):
        # Above `memory.high` (systemd's MemoryHigh) nothing is killed, but everything comes nearly to a halt.
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            limit = _text(folder / name)
            if limit.isdigit() and int(limit) < _NO_LIMIT:
                found.append(max(0, int(limit) - _taken(folder)))
    return min(found, default=None)


def _taken(group: Path) -> int:
    """What a group has that the system cannot take back: not the pages of files it has read."""
    lines = (line.split() for line in _text(group / "memory.stat").splitlines())
    told = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
    return told.get("anon", told.get("total_rss", 0))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The control groups this process is in, of either version, from its own to the widest."""
    mount = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            top = mount / controllers if controllers else mount
            top = top if top.is_dir() else mount / controller
            inner = PurePosixPath(name.lstrip("/"))
            yield from (top / it for it in (inner, *inner.parents))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
