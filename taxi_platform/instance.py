"""Dagster's own folder (`DAGSTER_HOME`) on a laptop: made where it is not; what is somebody else's is left alone."""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from taxi_platform.children import run
from taxi_platform.core.errors import SettingsError
from taxi_platform.core.machine import Width

#: The first line of a `dagster.yaml` that is ours.
MARK = "# Written by taxi_platform at every start. Remove this line, and the file is yours: used, and never written.\n"
_TEMPLATE = Path(__file__).parent.parent / "deploy" / "local" / "dagster.yaml"
_LAUNCHER = "WatchedRunLauncher"
#: Of runs that are given to other machines.
_LAUNCHER_OF_WORKERS = "WatchedCeleryRunLauncher"
#: To make the tables takes seconds, on a busy machine a minute.
_PATIENCE = 180.0


def prepare(home: Path, environment: Mapping[str, str]) -> None:
    """Make Dagster's folder if it is not there, with its settings for this machine.

    Args:
        home: The folder.
        environment: What Dagster's own processes get, with `DAGSTER_HOME`.

    Raises:
        SettingsError: It cannot be made, or what it holds is not usable.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        # Two first runs at once would each make the tables, and leave a database neither can use.
        with FileLock(home / ".prepare.lock", timeout=_PATIENCE):
            _write_settings(home)
            _make_tables(home, environment)
    except Timeout as error:
        raise SettingsError(
            f"another start has prepared Dagster's folder for over {_PATIENCE:.0f} s",
            where=str(home),
            cause="it hangs, or the disk is very slow",
            fix="end that one, and start again",
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{error.strerror}", where=str(home), fix="set TAXI_DATA_DIR to a folder you can write to"
        ) from error


def in_instance(environment: Mapping[str, str], *statements: str) -> int:
    """Run a few statements with Dagster's instance at hand, in a process of their own: only they wait for Dagster."""
    lines = [
        "import signal, sys",
        "signal.signal(signal.SIGINT, signal.SIG_DFL)",  # Ctrl-C ends it without a word
        "import dagster as dg",
        "with dg.DagsterInstance.get() as instance:",
        *(f"    {it}" for it in statements),
    ]
    return run(environment, sys.executable, "-W", "ignore", "-c", "\n".join(lines))


def _write_settings(home: Path) -> None:
    path = home / "dagster.yaml"
    there = path.read_text(encoding="utf-8", errors="replace") if os.path.lexists(path) else None
    if there is not None and not _is_ours(home, there):
        if lacks := _what_lacks(path, there):
            sys.stderr.write(f"{path} is not the platform's, and is used as it is. It lacks {'; '.join(lacks)}.\n")
        return
    (home / ".nux").mkdir(exist_ok=True)
    (home / ".nux" / "nux.yaml").write_text("seen: true\n")  # no newsletter dialog over the first page
    if there != (told := settings_for(Width.here())):
        # By a rename: a run that begins meanwhile reads the old ones or the new.
        new = home / ".dagster.yaml.new"
        new.write_text(told, encoding="utf-8")
        new.replace(path)


def _make_tables(home: Path, environment: Mapping[str, str]) -> None:
    """Make Dagster's tables; who is killed before they are made leaves it to the next to do all of it."""
    # An installed package has no template: the instance is the deployment's own, like its settings.
    template = _TEMPLATE.read_bytes() if _TEMPLATE.exists() else b""
    prepared, version = home / ".prepared", hashlib.sha256(template).hexdigest()
    is_made = prepared.exists() and prepared.read_text() == version
    if not is_made and in_instance(environment, "instance.get_runs_count()") == 0:
        prepared.write_text(version)


def _is_ours(home: Path, there: str) -> bool:
    before = home / ".prepared.yaml"  # earlier versions put a copy there, and no mark into the file
    return there.startswith(MARK) or (before.exists() and before.read_text(encoding="utf-8") == there)


def settings_for(width: Width) -> str:
    """Dagster's settings for a machine."""
    told = _TEMPLATE.read_text(encoding="utf-8")
    told = told.replace("max_concurrent_runs: 2", f"max_concurrent_runs: {width.months}")
    return MARK + told.replace("dagster/backfill, limit: 2", f"dagster/backfill, limit: {width.backfill}")


def _what_lacks(path: Path, there: str) -> list[str]:
    """What the platform relies on, and somebody's own settings do not have, in the words of `dagster.yaml`."""
    try:
        told: Any = yaml.safe_load(there) or {}
    except yaml.YAMLError as error:
        raise SettingsError("Dagster's settings cannot be read", where=str(path), cause=str(error)) from error
    expected = {
        ("concurrency", "pools", "default_limit"): "pool limits (concurrency.pools.default_limit: any number of months "
        "is fetched from the source at once)",
        ("run_monitoring", "enabled"): "run monitoring (run_monitoring.enabled: a run that died stays at work until "
        "the next one begins)",
    }
    lacks = [words for keys, words in expected.items() if not _at(told, *keys)]
    if _at(told, "run_launcher", "class") not in (_LAUNCHER, _LAUNCHER_OF_WORKERS):
        lacks.append(
            "the platform's launcher (run_launcher: {module: taxi_platform.automation.launcher, "
            f"class: {_LAUNCHER}}}: the daemon does not notice a code server that is gone)"
        )
    return lacks


def _at(told: Any, *keys: str) -> Any:
    for key in keys:
        told = told.get(key) if isinstance(told, dict) else None
    return told
