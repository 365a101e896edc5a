"""URLs: which ones are folders, and how they are shown without their secrets."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Greedy up to the last @: a password that holds an unescaped / or @ stays hidden too.
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):\S*@")
# Also as the end of a name: `api_key`, `access_token`, the `X-Amz-Signature` of a signed URL that GitHub redirects to.
_SECRET_PARAMETER = re.compile(
    r"(?i)([?&](?:[\w.-]*[_.-])?(?:password|passwd|pwd|token|secret|key|sig|signature|jwt|credential)=)[^&\s#]*"
)


def mask_url(url: str) -> str:
    """The URL as it may be shown: the password, and query parameters that hold a secret, become `***`."""
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))


def local_path(url: str) -> Path | None:
    """The folder a `file:///…` URL or a path (`/…`, `./…`, `~/…`, `some/folder`) names; None for anything else."""
    if url.startswith("file://"):
        parts = urlsplit(url)
        return Path(unquote(parts.path)) if parts.netloc in ("", "localhost") and parts.path else None
    if "://" not in url and ("/" in url or url in (".", "..") or url.startswith("~")):
        return Path(url).expanduser()
    return None
