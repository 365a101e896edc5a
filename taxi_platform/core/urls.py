"""URLs: which ones are folders, and how they are shown without their secrets."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

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
    """The folder a `file:///…` URL or a path (`/…`, `./…`, `~/…`, `some/folder`) names; None for anything else."""
    if url.startswith("file://"):
        parts = urlsplit(url)
        return Path(unquote(parts.path)) if parts.netloc in ("", "localhost") and parts.path else None
    if "://" not in url and ("/" in url or url in (".", "..") or url.startswith("~")):
        return Path(url).expanduser()
    return None
