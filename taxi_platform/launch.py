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
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import yaml

from taxi_platform.children import run
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import SettingsError, TaxiPlatformError
from taxi_platform.core.lake import open_lake
from taxi_platform.core.paths import why_no_dagster_home
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.develop import checked_port, develop
from taxi_platform.instance import in_instance, prepare, width
from taxi_platform.settings import Settings, dot_env, environment

_DEFINITIONS = "taxi_platform.definitions"
_DAGSTER = str(Path(sys.executable).parent / "dagster")
#: `automation/burial.py` knows it, too.
_TAG = "taxi/launch"


def main(arguments: Sequence[str]) -> int:
    """Check, then start; the exit status is Dagster's, or 2 for what was not started."""
    command, *given = arguments
    try:
        match command, given:
            case "dev", [port]:
                number = checked_port(port)  # before anything is made
                home = _prepare()
                sys.stderr.write(f"{width()}\n")
                return develop(_with_home(home), number)
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
    prepare(home, _with_home(home))
    return home


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
        in_instance(
            _with_home(home),
            "from taxi_platform.automation.burial import bury",
            "from taxi_platform.automation.outcomes import failure_of",
            "bury(instance)",  # it may have been killed
            f"runs = {found}",
            "events = [it for run in runs for it in instance.all_logs(run.run_id, dg.DagsterEventType.STEP_FAILURE)]",
            "failed = [it.dagster_event.step_failure_data for it in events if it.dagster_event]",
            "told = [getattr(it.user_failure_data, 'description', None) for it in failed]",
            "told = [text or (it.error.cause or it.error).message for text, it in zip(told, failed)]",
            "told = told or [failure_of(instance, run)[1] for run in runs if run.is_finished]",
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
    return run(_with_home(home), sys.executable, "-m", "taxi_platform.backfill", "start", dataset, first, last)


def _attend(home: Path, command: str, backfill: str) -> int:
    if not backfill:
        raise TaxiPlatformError("which backfill?", fix=f"make {command} BACKFILL=… with the name it was given")
    return run(_with_home(home), sys.executable, "-m", "taxi_platform.backfill", command, backfill)


def _dagster(home: Path, *arguments: str) -> int:
    return run(_with_home(home), _DAGSTER, *arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
