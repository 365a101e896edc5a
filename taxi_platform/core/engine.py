"""DuckDB as the platform uses it: bounded memory, no network, one way to quote."""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb

#: A run's working memory. What does not fit is spilled, so a month of 20 M rows needs no more than one of 2 M.
MEMORY_LIMIT = "600MB"
#: More threads need more memory and gain little: runs, not threads, are what fills a machine.
MAX_THREADS = 4


def settings(spill_to: Path) -> dict[str, str | bool | int | float | list[str]]:
    """The configuration every connection gets.

    Args:
        spill_to: Folder for what does not fit into memory.
    """
    return {
        "memory_limit": MEMORY_LIMIT,
        "threads": min(MAX_THREADS, os.cpu_count() or 1),
        "temp_directory": str(spill_to),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def connect(spill_to: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory database of its own, which keeps its progress to itself."""
    con = duckdb.connect(config=settings(spill_to))
    con.execute("SET enable_progress_bar = false")
    con.execute("SET TimeZone = 'UTC'")  # a timestamp with a zone must not depend on where this machine is
    con.execute("SET enable_geoparquet_conversion = false")  # a geometry is bytes to us, and its metadata may be old
    return con


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL takes it, where a parameter cannot stand (options of COPY and ATTACH, generated expressions)."""
    return "'" + text.replace("'", "''") + "'"


def path_literal(path: Path) -> str:
    """A file's path as the readers of DuckDB take it, which would take `*`, `?` and `[` for a pattern."""
    return literal(re.sub(r"([*?[])", r"[\1]", str(path)))


def parquet(*paths: Path) -> str:
    """The `FROM` clause for Parquet files: their own columns only, none that DuckDB would read from a Hive path."""
    return f"read_parquet([{', '.join(map(path_literal, paths))}], hive_partitioning = false)"
