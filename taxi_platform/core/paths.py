"""Paths that cannot be used for what they are meant for, and why: found at the start, not after half a month's work.

What only looks strange (blanks, quotes, `*`, `[`, `%`, `#`, any letters of any script) is used as it is.
"""

from __future__ import annotations

import os
from pathlib import Path

#: What Linux takes is 4,096 bytes; the rest is for what the platform and DuckDB put below a folder.
LONGEST_FOLDER = 3_700
#: What file systems take.
_LONGEST_NAME = 255
#: SQLite takes 512 bytes, of which it keeps 8 for the names of its journals; Dagster keeps a run in
#: `history/runs/<36 letters>.db`. https://www.sqlite.org/src/file/src/os_unix.c (MAX_PATHNAME)
LONGEST_HOME = 512 - 8 - len("/history/runs/.db") - 36


def why_no_folder(path: Path) -> str | None:
    """Why no file can be kept in a folder or under a name; None if nothing speaks against it.

    Args:
        path: Absolute; it need not exist.
    """
    raw = os.fsencode(path)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "its path is not written in UTF-8"
    if b"\0" in raw:
        return "a path has no NUL in it"
    if len(raw) > LONGEST_FOLDER:
        return f"its path is {len(raw):,} bytes long, more than {LONGEST_FOLDER:,}"
    if (longest := max(map(len, raw.split(b"/")))) > _LONGEST_NAME:
        return f"a name in its path is {longest:,} bytes long, more than {_LONGEST_NAME}"
    return None


def why_no_database(path: Path) -> str | None:
    """Why no DuckDB database can be kept in a folder, nor what DuckDB spills; see `why_no_folder`."""
    if "\\" in str(path):
        return "DuckDB takes a \\ in the path of a database for a /"
    if "?" in str(path):
        return "DuckDB takes what follows a ? in the path of a database for parameters"
    return why_no_folder(path)


def why_no_database_file(path: Path) -> str | None:
    """Why a DuckDB database cannot have this name, with its journal beside it; see `why_no_folder`."""
    return why_no_database(Path(f"{path}.wal"))


def why_no_dagster_home(path: Path) -> str | None:
    """Why Dagster cannot keep its SQLite databases there; see `why_no_folder`."""
    if "?" in str(path):
        return "Dagster writes the path of its databases into a URL, where what follows a ? is parameters"
    if (length := len(os.fsencode(path))) > LONGEST_HOME:
        return f"its path is {length:,} bytes long, and SQLite takes no more than {LONGEST_HOME} here"
    return why_no_folder(path)
