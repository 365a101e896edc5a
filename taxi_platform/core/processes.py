"""Which process did something, so that another one can tell later, with certainty, whether it is still there.

A number alone does not: after a while, or a restart of the machine, another process has it. What cannot be told (of
another machine, another container) is never taken for an end.
"""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
#: Of `/proc/<pid>/stat`, counted after the program's name: the state, and the start in ticks since the machine's.
_STATE, _START = 0, 19
_ENDED = ("Z", "X", "x")


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, told from all others that ever were.

    Attributes:
        host: The machine, by its name and its own number.
        boot: Which of its starts; empty where the system does not say.
        space: The container (its space of process numbers); empty where the system does not say.
        pid: The process's number there.
        started: When it began, in ticks since the machine's start; empty where the system does not say.
    """

    host: str
    boot: str
    space: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> ProcessIdentity:
        """This process."""
        boot = _text(_PROC / "sys" / "kernel" / "random" / "boot_id").strip()
        space = ""
        with suppress(OSError):
            space = str((_PROC / "self" / "ns" / "pid").readlink())
        return cls(_host(), boot, space, os.getpid(), _started(os.getpid()))

    def has_ended(self) -> bool:
        """Whether it is certainly no more; of another machine or container nothing is certain."""
        here = ProcessIdentity.current()
        if self.host != here.host:
            return False
        if self.boot and here.boot and self.boot != here.boot:
            return True
        if self.space != here.space or os.name != "posix":
            return False
        try:
            os.kill(self.pid, 0)  # asks only
        except ProcessLookupError:
            return True
        except OSError:
            pass  # somebody else's, so there is one
        if _is_zombie(self.pid):
            return True
        started = _started(self.pid)
        return bool(self.started and started and self.started != started)


@cache
def _host() -> str:
    # The machine's own number is to be shown to nobody: machine-id(5) asks for a hash of it in each application.
    number = _text(Path("/etc/machine-id")).strip()
    digest = hashlib.sha256(f"taxi_platform {number}".encode()).hexdigest()[:12]
    return f"{socket.gethostname()} {digest}"


def _stat(pid: int) -> list[str]:
    """What the system says of a process, after its name, which may hold blanks and brackets; empty if nothing."""
    return _text(_PROC / str(pid) / "stat").rpartition(")")[2].split()


def _is_zombie(pid: int) -> bool:
    """Whether it has ended, and only waits for somebody to ask how."""
    found = _stat(pid)
    return bool(found) and found[_STATE] in _ENDED


def _started(pid: int) -> str:
    found = _stat(pid)
    return found[_START] if len(found) > _START else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
