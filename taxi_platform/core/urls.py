"""URLs: which ones are folders or files, and how they are shown without their secrets."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

# Greedy up to the last @: a password that holds an unescaped / or @ stays hidden too.
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):\S*@")
# A user name alone is one in a database's URL and a token in a web server's.
_TOKEN = re.compile(r"(?<=http://)[^/@\s:]+@|(?<=https://)[^/@\s:]+@")
# Who knows what a server calls its secrets: every parameter may be one, but libpq's options of how to connect.
_PARAMETER = re.compile(
    r"(?i)([?&](?!(?:sslmode|connect_timeout|application_name|target_session_attrs)=)[^=&\s#]+=)[^&\s#]*"
)


def mask_url(url: str) -> str:
    """The URL as it may be shown: the password, a token, and parameters that may hold a secret become `***`."""
    return _PARAMETER.sub(r"\1***", _TOKEN.sub("***@", _PASSWORD.sub(r"\1:***@", url)))


def local_path(url: str) -> Path | None:
    """The folder a `file:///…` URL or a path (`/…`, `./…`, `~/…`, `some/folder`) names; None for anything else.

    In a `file:///…` URL, what a URL gives a meaning is written as elsewhere in URLs: `%3F` for a `?`, `%23` for a `#`.
    """
    if url.startswith("file://"):
        location, slash, path = url.removeprefix("file://").partition("/")
        is_whole = location in ("", "localhost") and slash and not set(path) & {"?", "#"}
        return Path(unquote("/" + path, errors="surrogateescape")) if is_whole else None
    if "://" not in url and ("/" in url or url in (".", "..") or url.startswith("~")):
        return Path(url).expanduser()
    return None


def duckdb_path(url: str) -> Path | None:
    """The file a `duckdb:///…` URL names; None for anything else.

    As in SQLAlchemy: three slashes before a relative path, four before an absolute one. It is taken as it is written.
    """
    path = url.removeprefix("duckdb:///")
    return None if path == url else Path(path).expanduser().absolute()
