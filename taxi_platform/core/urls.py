"""URLs: which ones are folders or files, and how they are shown without their secrets."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

_SCHEME = re.compile(r"[a-zA-Z][\w+.-]*")
#: Of several hosts, as libpq takes them, each may have a port. A blank is somebody's slip, which is to be seen.
_HOSTS = re.compile(r"(?a:([\w. -]*|\[[\w.:%]+\])(:\d{1,5})?)(,(?a:([\w.-]*|\[[\w.:%]+\])(:\d{1,5})?))*")
#: URLs of files: nobody's account can be in them, and a name may hold an `@`.
_LOCAL = ("file:///", "duckdb:///")
_USER = re.compile(r"[\w.@%+~-]*")
#: Options that say how to connect; who knows what a server calls its secrets.
_OPTION = re.compile(
    r"(sslmode|connect_timeout|application_name|target_session_attrs|region)=[\w.-]*|"
    r"(?a:endpoint=https?://[\w.-]+(:\d{1,5})?/?)"
)
_HIDDEN = "***"
#: In a sentence: options of a URL, or of what is left of one; and what stands where a port belongs.
#: The path that urllib3 tells: of a URL that nobody understands, the account may stand in it.
_TOLD_PATH = re.compile(r"(?<= with url: ).*(?= \(Caused by)", re.DOTALL)
_OPTIONS = re.compile(r"[?&][^\s?&=]+=\S*")
_NO_PORT = re.compile(r"://(?!\[[\da-fA-F:.]+\])[^\s/?#:]*:(?!\d{1,5}(?:[^\w]|$))\S+")


def mask_url(url: str) -> str:
    """A URL as it may be shown, put together anew from those of its parts that are no secrets.

    A password may hold anything, also what should have been escaped. So it ends at the last `@` of all, wherever that
    is; and of a URL that does not fall into parts, nothing is shown but its scheme. A user's name is no secret, but a
    web server's alone is a token.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or url.startswith(_LOCAL):
        return url
    account, at, rest = rest.rpartition("@")
    location, path, options, fragment = _parts(rest)
    if not _SCHEME.fullmatch(scheme) or not _HOSTS.fullmatch(location):
        return f"{scheme if _SCHEME.fullmatch(scheme) else _HIDDEN}://{_HIDDEN}"
    user, colon, _ = account.partition(":")
    is_token = not colon and scheme.lower() in ("http", "https")
    shown_user = user if _USER.fullmatch(user) and not is_token else _HIDDEN
    shown = f"{scheme}://{shown_user}{colon and f':{_HIDDEN}'}{at}" if at else f"{scheme}://"
    return f"{shown}{location}{path}{options and f'?{_shown_options(options)}'}{fragment and f'#{_HIDDEN}'}"


def mask_text(text: str) -> str:
    """A sentence of somebody else's as it may be shown: what may be a secret in the URLs it repeats becomes `***`.

    Where one URL ends in it nobody can tell, for a password may hold blanks: nothing is left from the first `://` to
    the last `@`.
    """
    before, separator, after = _TOLD_PATH.sub(_HIDDEN, text).partition("://")
    if "@" in after:
        after = f"{_HIDDEN}@{after.rpartition('@')[2]}"
    return _OPTIONS.sub(f"?{_HIDDEN}", _NO_PORT.sub(f"://{_HIDDEN}", before + separator + after))


def _parts(rest: str) -> tuple[str, str, str, str]:
    """What follows the account in a URL: location, path, options and fragment."""
    rest, hash_, fragment = rest.partition("#")
    rest, mark, options = rest.partition("?")
    location, slash, path = rest.partition("/")
    return location, slash + path, mark and options, hash_ and fragment


def _shown_options(options: str) -> str:
    """The options up to the first that may be a secret: what follows may be a part of it."""
    shown: list[str] = []
    for option in options.split("&"):
        if not _OPTION.fullmatch(option):
            return "&".join([*shown, _HIDDEN])
        shown.append(option)
    return "&".join(shown)


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


def lake_folder(url: str) -> Path | None:
    """The folder that is a lake; None where its URL names a bucket."""
    return local_path(url) or (None if "://" in url else Path(url))


def duckdb_path(url: str) -> Path | None:
    """The file a `duckdb:///…` URL names; None for anything else.

    As in SQLAlchemy: three slashes before a relative path, four before an absolute one. It is taken as it is written.
    """
    path = url.removeprefix("duckdb:///")
    return None if path == url else Path(path).expanduser().absolute()
