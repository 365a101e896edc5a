"""What `make run`, `zones`, `backfill` and the like start, after a look at what they were given.

    python -m taxi_platform.launch run DATASET MONTH [CONFIG]
    python -m taxi_platform.launch zones
    python -m taxi_platform.launch backfill DATASET FROM TO
    python -m taxi_platform.launch follow BACKFILL
    python -m taxi_platform.launch cancel BACKFILL
    python -m taxi_platform.launch dev PORT

What cannot work is said in one line before Dagster is started, and why a run failed once more after its long log. The
work itself is done by Dagster's own commands.
"""

import glob
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import yaml
from filelock import FileLock

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import SettingsError, TaxiPlatformError
from taxi_platform.core.lake import open_lake
from taxi_platform.core.paths import why_no_dagster_home
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.develop import checked_port, develop
from taxi_platform.settings import Settings, dot_env, environment

_PROJECT = Path(__file__).parent.parent
_DEFINITIONS = "taxi_platform.definitions"
_DAGSTER = str(Path(sys.executable).parent / "dagster")
_TAG = "taxi/launch"
#: Months at once: each takes up to 1 GB of memory, and the disk has to keep up.
_WIDEST = 8


def main(arguments: Sequence[str]) -> int:
    """Check, then start; the exit status is Dagster's, or 2 for what was not started."""
    command, *given = arguments
    try:
        match command, given:
            case "dev", [port]:
                number = checked_port(port)  # before anything is made
                return develop(_with_home(_prepare()), number)
            case "run", [dataset, month, *config]:
                _check_config(_checked(dataset, month), *config)
                return _execute(_prepare(), f"{dataset}_trips_job", month, *config)
            case "zones", []:
                return _execute(_prepare(), "taxi_zones_job")
            case "backfill", [dataset, first, last]:
                return _backfill(_prepare(), _checked(dataset, first, last), first, last)
            case "follow" | "cancel", [backfill]:
                return _attend(_prepare(), command, backfill)
            case _:
                sys.stderr.write(__doc__ or "")
                return 2
    except TaxiPlatformError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _with_home(home: Path) -> dict[str, str]:
    return environment() | {"DAGSTER_HOME": str(home)}


def _prepare() -> Path:
    """Check the settings, and make Dagster's instance if it is not there.

    Returns:
        The instance's folder, `DAGSTER_HOME`.
    """
    told, asked = dot_env().get("TAXI_SOURCE"), environment().get("SOURCE")
    if asked and told and asked != told:
        raise SettingsError(
            f"SOURCE={asked!r} was asked for and .env says TAXI_SOURCE={told!r}, which wins",
            fix="remove one of the two",
        )
    settings = Settings.from_env()
    open_lake(settings.lake_url, settings.data_dir / ".lake")
    open_warehouse(settings.warehouse_url)
    home = Path(environment().get("DAGSTER_HOME") or settings.data_dir / "dagster").expanduser().absolute()
    if reason := why_no_dagster_home(home):
        raise SettingsError(
            "Dagster's own files cannot be kept", where=str(home), cause=reason, fix="set DAGSTER_HOME to another path"
        )
    told, prepared = _instance_settings(), home / ".prepared.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / ".prepare.lock"):
            if not prepared.exists() or prepared.read_text() != told:
                (home / ".nux").mkdir(exist_ok=True)
                (home / ".nux" / "nux.yaml").write_text("seen: true\n")  # no newsletter dialog over the first page
                (home / "dagster.yaml").write_text(told)
                # Two first runs at once would each make the tables, and leave a database neither can use. Only when
                # they are made is the instance prepared: who is killed before leaves it to the next to do all of it.
                if _in_instance(home, "instance.get_runs_count()") == 0:
                    prepared.write_text(told)
    except OSError as error:
        raise SettingsError(
            f"{error.strerror}", where=str(home), fix="set TAXI_DATA_DIR to a folder you can write to"
        ) from error
    return home


def _instance_settings() -> str:
    """Dagster's settings for this machine: as many months at once as it has cores, within what its memory bears."""
    told = (_PROJECT / "deploy" / "local" / "dagster.yaml").read_text(encoding="utf-8")
    return told.replace("max_concurrent_runs: 2", f"max_concurrent_runs: {min(max(2, os.cpu_count() or 2), _WIDEST)}")


def _checked(dataset: str, *months: str) -> str:
    trips = load_catalog().trips
    if dataset not in trips:
        raise TaxiPlatformError(f"there is no dataset {dataset!r}", fix=f"use DATASET= with one of {', '.join(trips)}")
    for month in months:
        trips[dataset].month(month)
    return dataset


def _check_config(dataset: str, path: str = "") -> None:
    """Check the rules of a run config, so that a slip of the pen does not end in a stack trace."""
    if not path:
        return
    if glob.escape(path) != path:
        raise TaxiPlatformError(
            "the run config cannot be read", where=path, cause="Dagster takes *, ? and [ for a pattern", fix="rename it"
        )
    try:
        told = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        rules = told["ops"][f"clean_{dataset}_trips"]["config"]["rules"]
        load_catalog().trips[dataset].actions({name: "off" if it is False else str(it) for name, it in rules.items()})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TaxiPlatformError("the run config cannot be read", where=path, cause=str(error)) from error
    except (KeyError, TypeError, AttributeError):
        return  # it is about something else, or Dagster says better what is wrong with it
    if False in rules.values():
        raise TaxiPlatformError(
            "an action off is not quoted", where=path, fix='write "off": without quotes YAML reads no'
        )


def _execute(home: Path, job: str, month: str | None = None, config: str | None = None) -> int:
    tags = {_TAG: str(uuid.uuid4())} | ({"dagster/partition": month} if month else {})
    options = [f"--config={config}"] if config else []
    status = _dagster(home, "job", "execute", "-m", _DEFINITIONS, "-j", job, "--tags", json.dumps(tags), *options)
    if status:
        found = f"instance.get_runs(filters=dg.RunsFilter(tags={{{_TAG!r}: {tags[_TAG]!r}}}))"
        _in_instance(
            home,
            f"runs = {found}",
            "events = [it for run in runs for it in instance.all_logs(run.run_id, dg.DagsterEventType.STEP_FAILURE)]",
            "failed = [it.dagster_event.step_failure_data for it in events if it.dagster_event]",
            "told = [getattr(it.user_failure_data, 'description', None) for it in failed]",
            "told = [text or (it.error.cause or it.error).message for text, it in zip(told, failed)]",
            "print('\\nThe run failed.', *(told or ['What Dagster says above is why.']), sep='\\n', file=sys.stderr)",
        )
    return status


def _backfill(home: Path, dataset: str, first: str, last: str) -> int:
    if first > last:
        raise TaxiPlatformError(f"FROM={first} is after TO={last}", fix="exchange them")
    if environment().get("SOURCE") or environment().get("CONFIG"):
        raise TaxiPlatformError(
            "a backfill takes no SOURCE and no CONFIG",
            cause="its months are run by the daemon behind `make dev`, with the settings it was started with",
            fix="start `make dev` with them",
        )
    return _run(home, sys.executable, "-m", "taxi_platform.backfill", "start", dataset, first, last)


def _attend(home: Path, command: str, backfill: str) -> int:
    if not backfill:
        raise TaxiPlatformError("which backfill?", fix=f"make {command} BACKFILL=… with the name it was given")
    return _run(home, sys.executable, "-m", "taxi_platform.backfill", command, backfill)


def _dagster(home: Path, *arguments: str) -> int:
    return _run(home, _DAGSTER, *arguments)


def _in_instance(home: Path, *statements: str) -> int:
    """Run a few statements with Dagster's instance at hand, in a process of their own: only they wait for Dagster."""
    lines = [
        "import signal, sys",
        "signal.signal(signal.SIGINT, signal.SIG_DFL)",  # Ctrl-C ends it without a word
        "import dagster as dg",
        "with dg.DagsterInstance.get() as instance:",
        *(f"    {it}" for it in statements),
    ]
    return _run(home, sys.executable, "-W", "ignore", "-c", "\n".join(lines))


def _run(home: Path, *command: str) -> int:
    with subprocess.Popen(command, env=_with_home(home)) as process:  # noqa: S603 (ours)
        while True:
            try:
                status = process.wait()
                return status if status >= 0 else 128 - status  # as shells say which signal it was
            except KeyboardInterrupt:
                continue  # it was told too, and ends in its own time


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
