"""The environment, read once into one frozen `Settings`. Nothing else in the project reads the environment.

A new setting is a field here, a line in `.env.example` and a row in the README's table.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from dotenv import dotenv_values

from taxi_platform.core.errors import SettingsError
from taxi_platform.core.urls import local_path, mask_url

LARGEST_SAMPLE = 20_000_000
# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^?#\s]*)?")
#: A URL with a slip of the pen would be a folder of that name.
_NO_FOLDER = re.compile(r"\w+:|(gs|s3|file|https?)//")
#: What may be a password where a URL has lost its shape.
_MAYBE_SECRET = re.compile(r":\S*@|(?i:passw(or)?d\s*=\s*)\S+")


@dataclass(frozen=True)
class Settings:
    """Where months come from and go to. Every field has a default that needs no account and no server."""

    data_dir: Path = Path("data")
    source: str = field(default="web", repr=False)
    sample_rows: int = 20_000
    lake_url: str = field(default="", repr=False)
    warehouse_url: str = field(default="", repr=False)
    gcp_credentials: str = field(default="", repr=False)
    alert_urls: tuple[str, ...] = field(default=(), repr=False)
    automation: bool = False
    ui_url: str = "http://localhost:3000"
    #: Names of the variables that were set, so that a resource can show a variable's name instead of its value.
    from_environment: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_dir", self.data_dir.expanduser().absolute())
        if not self.lake_url:
            object.__setattr__(self, "lake_url", str(self.data_dir / "lake"))
        if not self.warehouse_url:
            object.__setattr__(self, "warehouse_url", f"duckdb:///{self.data_dir / 'warehouse.duckdb'}")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment.

        Args:
            environ: Variable name to value; empty values count as not set. By default `environment()`.

        Raises:
            SettingsError: A value is malformed; names the variable, the value (password masked) and what is accepted.
        """
        # A resource can look a variable up again only where Dagster's processes have it too.
        looked_up: Mapping[str, str] = os.environ if environ is None else environ
        environ = environment() if environ is None else environ
        given = {name: environ[name].strip() for name in _READERS if environ.get(name, "").strip()}
        if "TAXI_GCP_CREDENTIALS" in given and "GOOGLE_APPLICATION_CREDENTIALS" in environ:
            raise SettingsError(
                "TAXI_GCP_CREDENTIALS and GOOGLE_APPLICATION_CREDENTIALS are both set",
                fix="unset one of the two (to set it to nothing is not enough)",
            )
        values = {attribute: read(name, given[name]) for name, (attribute, read) in _READERS.items() if name in given}
        return cls(**values, from_environment=frozenset(given) & looked_up.keys())  # pyright: ignore[reportArgumentType]


def environment() -> dict[str, str]:
    """This process's environment as Dagster's commands see it: what `.env` in this folder says wins."""
    return dict(os.environ) | dot_env()


def dot_env() -> dict[str, str]:
    """What `.env` in this folder says, if there is one."""
    return {name: value for name, value in dotenv_values(Path.cwd() / ".env").items() if value is not None}


def _data_dir(name: str, value: str) -> Path:
    path = Path(value).expanduser().absolute()
    there = next(it for it in (path, *path.parents) if it.exists())
    if "://" in value or not there.is_dir():
        raise _malformed(name, value, "a folder")
    return path


def _source(name: str, value: str) -> str:
    if (
        value in ("web", "sample")
        or (_scheme(value) in ("http", "https") and urlsplit(value).netloc and not urlsplit(value).query)
        or _is_local(value)
    ):
        return value
    raise _malformed(
        name, value, "web, sample, or a base URL or folder: https://…, http://…, file:///…, /path (no ?parameters)"
    )


def _sample_rows(name: str, value: str) -> int:
    accepted = f"a whole number from 1 to {LARGEST_SAMPLE}"
    is_number = value.isascii() and value.isdigit() and len(value) <= len(str(LARGEST_SAMPLE))
    if not is_number or not 1 <= int(value) <= LARGEST_SAMPLE:
        raise _malformed(name, value, accepted)
    return int(value)


def _lake_url(name: str, value: str) -> str:
    if "://" not in value and not _NO_FOLDER.match(value):
        _data_dir(name, value)
        return value
    if _BUCKET.fullmatch(value) or ("://" in value and _is_local(value)):
        return value
    raise _malformed(name, value, "a folder, file:///…, or gs://bucket[/prefix]")


def _warehouse_url(name: str, value: str) -> str:
    # Not taken apart further: a password may hold what Python's own parser stumbles over, and would say aloud.
    kind, _, rest = value.partition("://")
    location, _, path = rest.partition("?")[0].partition("/")
    well_formed = {
        "duckdb": not location and bool(path),
        "postgresql": bool(rest.strip("/")),
        "bigquery": bool(location and path.strip("/")),
    }
    if well_formed.get(kind):
        return value
    raise _malformed(name, value, "duckdb:///path, postgresql://…, or bigquery://project/dataset")


def _gcp_credentials(name: str, value: str) -> str:
    try:
        key = json.loads(value if value.startswith("{") else base64.b64decode(value, validate=True))
    except ValueError:
        key = None
    if not isinstance(key, dict) or "type" not in key:
        raise _malformed(name, "***", "a service account's key: the JSON of its key file, as it is or in base64")
    return value


def _alert_urls(name: str, value: str) -> tuple[str, ...]:
    urls = tuple(value.split())
    if all("://" in url for url in urls):
        return urls
    raise _malformed(name, "***", "Apprise URLs separated by blanks, each scheme://…")


def _automation(name: str, value: str) -> bool:
    if value not in ("on", "off"):
        raise _malformed(name, value, "on or off")
    return value == "on"


def _ui_url(name: str, value: str) -> str:
    if _scheme(value) not in ("http", "https") or not urlsplit(value).netloc:
        raise _malformed(name, value, "the address of the UI, http://… or https://…")
    return value.rstrip("/")


_READERS = {
    "TAXI_DATA_DIR": ("data_dir", _data_dir),
    "TAXI_SOURCE": ("source", _source),
    "TAXI_SAMPLE_ROWS": ("sample_rows", _sample_rows),
    "TAXI_LAKE_URL": ("lake_url", _lake_url),
    "TAXI_WAREHOUSE_URL": ("warehouse_url", _warehouse_url),
    "TAXI_GCP_CREDENTIALS": ("gcp_credentials", _gcp_credentials),
    "TAXI_ALERT_URLS": ("alert_urls", _alert_urls),
    "TAXI_AUTOMATION": ("automation", _automation),
    "TAXI_UI_URL": ("ui_url", _ui_url),
}


def _scheme(value: str) -> str:
    return urlsplit(value).scheme if "://" in value else ""


def _is_local(value: str) -> bool:
    return local_path(value) is not None


def _malformed(name: str, value: str, accepted: str) -> SettingsError:
    shown = mask_url(value) if "://" in value else _MAYBE_SECRET.sub("***", value)
    return SettingsError(f"{name}={shown!r} is not usable", fix=f"set {name} to {accepted}")
