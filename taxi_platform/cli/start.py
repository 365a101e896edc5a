"""What is checked before anything is started, and Dagster's folder, which is made if it is not there."""

import glob
from pathlib import Path

import yaml

from taxi_platform.cli.order import Many
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.catalog.model import RuleAction
from taxi_platform.core.errors import SettingsError, TaxiPlatformError
from taxi_platform.core.lake import open_lake
from taxi_platform.core.paths import why_no_dagster_home
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.instance import prepare
from taxi_platform.settings import Settings, dot_env, environment


def prepared(source: str | None = None) -> dict[str, str]:
    """Check the settings, and make Dagster's instance if it is not there.

    Args:
        source: What was asked for as the source; None: the settings say it.

    Returns:
        The environment of whatever is started, with `DAGSTER_HOME`.

    Raises:
        SettingsError: A setting is not usable, or two of them contradict each other.
    """
    told = dot_env().get("TAXI_SOURCE")
    if source and told and source != told:
        raise SettingsError(
            f"source {source!r} was asked for and .env says TAXI_SOURCE={told!r}, which wins",
            fix="remove one of the two",
        )
    variables = environment() | ({"TAXI_SOURCE": source} if source else {})
    settings = Settings.from_env(variables)
    open_lake(settings.lake_url, settings.data_dir / ".lake")
    open_warehouse(settings.warehouse_url)
    home = Path(variables.get("DAGSTER_HOME") or settings.data_dir / "dagster").expanduser().absolute()
    if reason := why_no_dagster_home(home):
        raise SettingsError(
            "Dagster's own files cannot be kept", where=str(home), cause=reason, fix="set DAGSTER_HOME to another path"
        )
    variables |= {"DAGSTER_HOME": str(home)}
    prepare(home, variables)
    return variables


def check_months(dataset: str, *months: str) -> None:
    """Check that there is such a dataset, and that it has such months.

    Raises:
        TaxiPlatformError: There is none, or it has not.
    """
    trips = load_catalog().trips
    if dataset not in trips:
        raise TaxiPlatformError(f"there is no dataset {dataset!r}", fix=f"take one of {', '.join(trips)}")
    for month in months:
        trips[dataset].month(month)


def check_order(order: Many) -> None:
    """Check what is to be done with a range of months: that it is one, and its run config.

    Raises:
        TaxiPlatformError: It makes no sense.
    """
    check_range(order.dataset, order.first, order.last)
    check_config(order.dataset, order.config)


def check_range(dataset: str, first: str, last: str) -> None:
    """Check that a dataset has a range of months.

    Raises:
        TaxiPlatformError: It has not, or it is none.
    """
    check_months(dataset, first, last)
    if first > last:
        raise TaxiPlatformError(f"FROM={first} is after TO={last}", fix="exchange them")


def check_config(dataset: str, path: str | None) -> None:
    """Check a run config, so that a slip of the pen does not end in a stack trace.

    Raises:
        TaxiPlatformError: It cannot be read, or has a rule or an action there is not.
    """
    actions_of(dataset, path)


def actions_of(dataset: str, path: str | None) -> dict[str, RuleAction]:
    """What the rules of a dataset do in runs with a run config.

    Args:
        dataset: The dataset.
        path: The run config; None or empty: there is none.

    Raises:
        TaxiPlatformError: It cannot be read, or has a rule or an action there is not.
    """
    contract = load_catalog().trips[dataset]
    if not path:
        return contract.actions()
    if glob.escape(path) != path:
        raise TaxiPlatformError(
            "the run config cannot be read", where=path, cause="Dagster takes *, ? and [ for a pattern", fix="rename it"
        )
    try:
        told = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise TaxiPlatformError("the run config cannot be read", where=path, cause="it is no mapping")
        rules = told["ops"][f"clean_{dataset}_trips"]["config"]["rules"]
        actions = contract.actions({name: "off" if it is False else str(it) for name, it in rules.items()})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TaxiPlatformError("the run config cannot be read", where=path, cause=str(error)) from error
    except (KeyError, TypeError, AttributeError):
        return contract.actions()  # it is about something else, or Dagster says better what is wrong with it
    if False in rules.values():
        raise TaxiPlatformError(
            "an action off is not quoted", where=path, fix='write "off": without quotes YAML reads no'
        )
    return actions
