"""The environment, read once into one frozen `Settings`. Nothing else in the project reads the environment.

A new setting is a field here, a line in `.env.example` and a row in the README's table.

Not by pydantic-settings (2.16, tried): its import costs each run 43 ms beside Dagster's own, a twentieth of what it
takes to begin, and what there is to say of a value, of a file that holds one and of two that contradict each other
would still be said here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values

from taxi_platform.core.errors import SettingsError
from taxi_platform.core.google import key_of
from taxi_platform.core.lake.places import ACCEPTED, AzureAccount, is_bucket
from taxi_platform.core.paths import why_no_dagster_home, why_no_database, why_no_database_file, why_no_folder
from taxi_platform.core.urls import duckdb_path, lake_folder, local_path, mask_url
from taxi_platform.setting_files import SUFFIX, is_file_of, values_in_files
from taxi_platform.spread import refuse_stores_of_one_machine

LARGEST_SAMPLE = 20_000_000
LONGEST_KEPT = 36_500
#: A URL with a slip of the pen would be a folder of that name.
_NO_FOLDER = re.compile(r"\w+:|(gs|s3|az|file|https?)//")
#: As SQLAlchemy names a driver.
_DRIVER = re.compile(r"postgres(ql)?\+\w+://")
#: Of nobody's making here: a test's own, and what Kubernetes tells each pod of a service whose name begins with taxi.
_NOT_OURS = re.compile(r"TAXI_TEST_\w+|TAXI_(\w+_)?(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_(TCP|UDP|SCTP)\w*)")
#: What has an account, a port or an option somewhere after its kind: a URL that has lost its shape, or a libpq string.
_MAYBE_SECRET = re.compile(r"(?s)(?:\w+:/+)?+[^:@=]*[:@=].*")


@dataclass(frozen=True)
class Settings:
    """Where months come from and go to. Every field has a default that needs no account and no server."""

    data_dir: Path = Path("data")
    source: str = field(default="web", repr=False)
    sample_rows: int = 20_000
    lake_url: str = field(default="", repr=False)
    warehouse_url: str = field(default="", repr=False)
    gcp_credentials: str = field(default="", repr=False)
    azure_name: str = ""
    azure_key: str = field(default="", repr=False)
    azure_connection_string: str = field(default="", repr=False)
    alert_urls: tuple[str, ...] = field(default=(), repr=False)
    automation: bool = False
    ui_url: str = "http://localhost:3000"
    keep_days: int = 90
    keep_editions: int = 0
    #: Names of the variables that were set, so that a resource can show a variable's name instead of its value.
    from_environment: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_dir", self.data_dir.expanduser().absolute())
        if not self.lake_url:
            object.__setattr__(self, "lake_url", str(self.data_dir / "lake"))
        if not self.warehouse_url:
            object.__setattr__(self, "warehouse_url", f"duckdb:///{self.data_dir / 'warehouse.duckdb'}")

    @property
    def azure(self) -> AzureAccount:
        """The account of a lake in Azure."""
        return AzureAccount(self.azure_name, self.azure_key, self.azure_connection_string)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment.

        Args:
            environ: Variable name to value; empty values count as not set. By default `environment()`.

        Raises:
            SettingsError: A value is malformed; names the variable, the value (password masked) and what is accepted.
                Or a variable is none of ours, and would have changed nothing; or a file that one names is of no use.
        """
        if environ is None:
            _adopt_files()
        # A resource can look a variable up again only where Dagster's processes have it too.
        looked_up: Mapping[str, str] = os.environ if environ is None else environ
        environ = environment() if environ is None else environ
        _refuse_unknown(name for name, value in environ.items() if value.strip())
        environ = {**environ, **values_in_files(environ, _READERS)}
        given = {name: environ[name].strip() for name in _READERS if environ.get(name, "").strip()}
        if "TAXI_GCP_CREDENTIALS" in given and "GOOGLE_APPLICATION_CREDENTIALS" in environ:
            raise SettingsError(
                "TAXI_GCP_CREDENTIALS and GOOGLE_APPLICATION_CREDENTIALS are both set",
                fix="unset one of the two (to set it to nothing is not enough)",
            )
        values = {attribute: read(name, given[name]) for name, (attribute, read) in _READERS.items() if name in given}
        settings = cls(**values, from_environment=frozenset(given) & looked_up.keys())  # pyright: ignore[reportArgumentType]
        home = environ.get("DAGSTER_HOME", "").strip()
        settings._refuse_paths(home)
        refuse_stores_of_one_machine(Path(home) if home else None, settings.lake_url, settings.warehouse_url)
        return settings

    def _refuse_paths(self, dagster_home: str) -> None:
        """Refuse a path that some library will not find again; also one that comes from the folder this is run in."""
        for name, path, why_not in (
            ("TAXI_DATA_DIR", self.data_dir, why_no_database),
            ("TAXI_SOURCE", local_path(self.source), why_no_folder),
            ("TAXI_LAKE_URL", lake_folder(self.lake_url), why_no_folder),
            ("TAXI_WAREHOUSE_URL", duckdb_path(self.warehouse_url), why_no_database_file),
            ("DAGSTER_HOME", Path(dagster_home) if dagster_home else None, why_no_dagster_home),
        ):
            if path is not None and (reason := why_not(path.absolute())):
                raise SettingsError(
                    f"{name}={str(path)!r} is not usable", cause=reason, fix=f"set {name} to another path"
                )


def environment() -> dict[str, str]:
    """This process's environment as Dagster's commands see it: what `.env` in this folder says wins."""
    return dict(os.environ) | dot_env()


def dot_env() -> dict[str, str]:
    """What `.env` in this folder says, if there is one."""
    return {name: value for name, value in dotenv_values(Path.cwd() / ".env").items() if value is not None}


def _adopt_files() -> None:
    """Put what the files of settings say into this process's environment, as if it had been set there.

    Dagster looks a resource's variable up when a run begins, in a process that this one starts: so that the UI shows
    the name of the variable, and not its value.

    Raises:
        SettingsError: See `values_in_files`.
    """
    for name, value in values_in_files(environment(), _READERS).items():
        os.environ[name] = value
        # A run that begins after the file has changed is what its code server is, and not in two minds.
        os.environ.pop(name + SUFFIX, None)


def _refuse_unknown(names: Iterable[str]) -> None:
    """Refuse variables that look like ours and are not: a typo would mean the default, without a word."""
    for name in sorted(names):
        is_ours = name.startswith("TAXI_") or name.upper() in _READERS
        is_setting = name in _READERS or is_file_of(name, _READERS)
        if is_ours and not is_setting and not _NOT_OURS.fullmatch(name):
            close = get_close_matches(name.upper(), _READERS, n=1, cutoff=0.0)
            raise SettingsError(
                f"there is no setting {name}",
                cause=f"did you mean {close[0]}?",
                fix=f"set that instead, or remove {name} from the environment (or .env)",
            )


def _data_dir(name: str, value: str) -> Path:
    try:
        path = Path(value).expanduser().absolute()
        there = next(it for it in (path, *path.parents) if it.exists()) if why_no_folder(path) is None else Path("/")
    except (OSError, RuntimeError) as error:  # a folder that is closed to us, or the home of nobody
        raise _malformed(name, value, "a folder", str(getattr(error, "strerror", None) or error)) from error
    if "://" in value or not there.is_dir():
        raise _malformed(name, value, "a folder")
    return path


def _source(name: str, value: str) -> str:
    if value in ("web", "tlc", "mirror", "sample") or (_is_web(value) and not _split(value).query) or _is_local(value):
        _refuse_unclear_account(name, value)
        return value
    raise _malformed(
        name,
        value,
        "web, tlc, mirror, sample, or a base URL or folder: https://…, http://…, file:///…, /path (no ?parameters)",
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
    if is_bucket(value) or ("://" in value and _is_local(value)):
        return value
    raise _malformed(name, value, f"a folder, file:///…, {ACCEPTED}")


def _warehouse_url(name: str, value: str) -> str:
    # Not taken apart further: a password may hold what Python's own parser stumbles over, and would say aloud.
    kind, _, rest = value.partition("://")
    if _DRIVER.match(value):
        raise _malformed(
            name, value, "postgresql://…", f"the {kind.partition('+')[2]} in it is a driver of SQLAlchemy's"
        )
    location, _, path = rest.partition("?")[0].partition("/")
    well_formed = {
        "duckdb": not location and bool(path),
        "postgresql": bool(rest.strip("/")),
        "postgres": bool(rest.strip("/")),
        "bigquery": bool(location and path.strip("/")),
    }
    if well_formed.get(kind):
        return value
    raise _malformed(name, value, "duckdb:///path, postgresql://…, or bigquery://project/dataset")


def _gcp_credentials(name: str, value: str) -> str:
    try:
        key_of(value)
    except ValueError:
        accepted = "a service account's key: the JSON of its key file, as it is or in base64"
        # Nothing of the value, and so not `from` what could not read it.
        raise _malformed(name, "***", accepted) from None
    return value


def _as_it_is(_: str, value: str) -> str:
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
    if not _is_web(value):
        raise _malformed(name, value, "the address of the UI, http://… or https://…")
    return value.rstrip("/")


def _keep_days(name: str, value: str) -> int:
    if not (
        value.isascii() and value.isdigit() and len(value) <= len(str(LONGEST_KEPT)) and int(value) <= LONGEST_KEPT
    ):
        raise _malformed(name, value, f"a whole number of days, 1 to {LONGEST_KEPT}, or 0 for ever")
    return int(value)


def _keep_editions(name: str, value: str) -> int:
    if value == "all":
        return 0
    if not (value.isascii() and value.isdigit() and len(value) <= len(str(LONGEST_KEPT)) and int(value)):
        raise _malformed(name, value, "all, or how many editions of a month's file the lake keeps: 1 or more")
    return int(value)


_READERS = {
    "TAXI_DATA_DIR": ("data_dir", _data_dir),
    "TAXI_SOURCE": ("source", _source),
    "TAXI_SAMPLE_ROWS": ("sample_rows", _sample_rows),
    "TAXI_LAKE_URL": ("lake_url", _lake_url),
    "TAXI_WAREHOUSE_URL": ("warehouse_url", _warehouse_url),
    "TAXI_GCP_CREDENTIALS": ("gcp_credentials", _gcp_credentials),
    # Azure's own names, which its library leaves to programs to read.
    "AZURE_STORAGE_ACCOUNT_NAME": ("azure_name", _as_it_is),
    "AZURE_STORAGE_ACCOUNT_KEY": ("azure_key", _as_it_is),
    "AZURE_STORAGE_CONNECTION_STRING": ("azure_connection_string", _as_it_is),
    "TAXI_ALERT_URLS": ("alert_urls", _alert_urls),
    "TAXI_AUTOMATION": ("automation", _automation),
    "TAXI_UI_URL": ("ui_url", _ui_url),
    "TAXI_KEEP_DAYS": ("keep_days", _keep_days),
    "TAXI_KEEP_EDITIONS": ("keep_editions", _keep_editions),
}


def _split(value: str) -> SplitResult:
    try:
        return urlsplit(value)
    except ValueError:  # of its brackets, or its port
        return SplitResult("", "", value, "", "")


def _is_web(value: str) -> bool:
    return "://" in value and _split(value).scheme in ("http", "https") and bool(_split(value).netloc)


def _refuse_unclear_account(name: str, value: str) -> None:
    """Refuse a web address whose user or password could be read in two ways.

    Whoever reads it the other way looks for a host that is a piece of the password, and says so.
    """
    location, _, path = value.partition("://")[2].partition("/")
    has_two_ends = "@" in path if ":" in location and "@" not in location else location.count("@") > 1
    if _is_web(value) and (has_two_ends or re.search(r"[\s?#\\]", location)):
        raise SettingsError(
            f"{name}={mask_url(value)!r} is not usable",
            cause="its user or password holds what has a meaning in URLs",
            fix=f"write %40 for an @, %2F for a /, %3F for a ?, %23 for a # and %20 for a blank in {name}",
        )


def _is_local(value: str) -> bool:
    try:
        return local_path(value) is not None
    except RuntimeError:  # the home of nobody
        return False


def _malformed(name: str, value: str, accepted: str, cause: str | None = None) -> SettingsError:
    shown = mask_url(value) if "://" in value else "***" if _MAYBE_SECRET.fullmatch(value) else value
    return SettingsError(f"{name}={shown!r} is not usable", cause=cause, fix=f"set {name} to {accepted}")
