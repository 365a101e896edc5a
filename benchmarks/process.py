"""Measuring whole processes: time, CPU and peak memory as the kernel counts them.

This module and all that imports it in the benchmark's own process stay small: on Linux a child's peak memory is never
less than what its parent had when it was started, so Dagster, DuckDB and Arrow are left to the children.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.work import told

#: Linux counts peak memory in KiB, macOS in bytes.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
_LAST_LINES = 25

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Run:
    """What one run took.

    Attributes:
        wall: Seconds from the start of the process to its end.
        cpu: Seconds of CPU, of the process and of those it waited for.
        peak: The most memory it had, in bytes.
        began: When it was started, in seconds since 1970.
        told: What the process told of itself: `seconds` and `cpu` of the work alone, and whatever else it measured.
    """

    wall: float
    cpu: float
    peak: int
    began: float = 0.0
    told: dict[str, Any] = field(default_factory=dict[str, Any])


class ChildFailedError(Exception):
    """A process the benchmark started has failed."""

    def __init__(self, command: Command, status: int, said: str) -> None:
        lines = said.splitlines()[-_LAST_LINES:]
        super().__init__("\n".join([*lines, "", f"exit status {status} of: {shlex.join(map(str, command))}"]))


def measure(command: Command, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Run:
    """Run a command to its end.

    Args:
        command: What to run.
        environ: The environment; this process's own by default.
        cwd: Where; here by default.

    Raises:
        ChildFailedError: It failed; with its last words.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        began, start = time.time(), time.perf_counter()
        process = _started(command, environ, cwd, output)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            _kill_session(process.pid)
            process.wait()
            raise
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it again
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise ChildFailedError(command, process.returncode, said)
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * _PEAK_UNIT, began, told(said))


@contextmanager
def in_background(
    command: Command, environ: Mapping[str, str], cwd: Path, log: Path
) -> Generator[subprocess.Popen[bytes], None, None]:
    """A command that is at work as long as the block lasts, with all the processes it starts."""
    with log.open("wb") as output:
        process = _started(command, environ, cwd, output)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        _kill_session(process.pid)
        process.wait()


def _started(
    command: Command, environ: Mapping[str, str] | None, cwd: Path | None, output: IO[Any]
) -> subprocess.Popen[bytes]:
    """A command in a session of its own, by which all that it starts is known."""
    return subprocess.Popen(
        command,
        env=environ,
        cwd=cwd,
        stdout=output,
        stderr=output,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def cpu_of_session(leader: int) -> float:
    """Seconds of CPU used so far by the processes of a session, and by those they have waited for."""
    ticks = sum(sum(map(int, fields[11:15])) for fields in _processes().values() if int(fields[3]) == leader)
    return ticks / os.sysconf("SC_CLK_TCK")


def _kill_session(leader: int) -> None:
    for pid, fields in _processes().items():
        if int(fields[3]) == leader:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):  # where there is no /proc
        os.killpg(leader, signal.SIGKILL)


def _processes() -> dict[int, list[str]]:
    """The processes of this machine: what /proc/<pid>/stat says after the name, from the state on."""
    found: dict[int, list[str]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            found[int(stat.parent.name)] = stat.read_text(errors="replace").rpartition(")")[2].split()
    return found
