"""What it was measured on, and with which versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.world import World

_OURS = ("dagster", "duckdb", "pyarrow", "psycopg", "pgpq")
_PEERS = ("dlt", "adbc-driver-postgresql", "pandas", "sqlalchemy", "psycopg2-binary")


def about(world: World) -> dict[str, str]:
    """The machine, the versions and the date, as lines of a list."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    ours = ", ".join(f"{name} {version(name)}" for name in _OURS)
    return {
        "Date": f"{datetime.now(UTC):%Y-%m-%d}",
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{memory:.0f} GB",
        "System": f"{_system()}, Linux {platform.release()}" if sys.platform == "linux" else platform.platform(),
        "Ours": f"Python {platform.python_version()}, {ours}",
        "Peers": ", ".join(_pinned()),
        "PostgreSQL": f"{_postgres(world)}, on this machine, which does not wait for its disk (fsync off) for anybody",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((it.partition(":")[2].strip() for it in lines if it.startswith("model name")), platform.machine())


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


def _pinned() -> list[str]:
    lines = (Path(__file__).parent / "peers" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    return [f"{name} {pins[name]}" for name in _PEERS]


def _postgres(world: World) -> str:
    command = [world.postgres.binaries / "postgres", "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
