"""What the commands about many months start: planned, run by the daemon, watched from here.

python -m taxi_platform.cli.many ORDER
"""

import signal
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from rich.console import Console

from taxi_platform.automation.choice import Lack
from taxi_platform.cli import planning, say
from taxi_platform.cli.following import cancel, follow, say_how_to_go_on
from taxi_platform.cli.launching import launch, require_daemon
from taxi_platform.cli.order import Many
from taxi_platform.cli.silence import say_if_nobody_looks
from taxi_platform.cli.start import actions_of
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.planning import Plan
from taxi_platform.core.source import SourceError
from taxi_platform.settings import Settings


def main(argument: str) -> int:
    """Do what was asked.

    Returns:
        0 if every month succeeded, 1 if not, 2 if it was asked wrongly, 130 if the watching was interrupted.
    """
    # Whoever ends this: the backfill is handed over, or was not begun.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    order = Many.from_argument(argument)
    try:
        if order.command == "follow":
            return follow(order.backfill, as_json=order.as_json)
        if order.command == "cancel":
            return cancel(order.backfill, as_json=order.as_json)
        if order.command == "plan":
            return _plan(order)
        return _backfill(order)
    except TaxiPlatformError as error:
        return say.refused(order.command, error, as_json=order.as_json)
    except Exception as error:  # noqa: BLE001 (it is told, in words)
        return say.mistaken(order.command, error, as_json=order.as_json)


def _backfill(order: Many) -> int:
    with dg.DagsterInstance.get() as instance:
        require_daemon(instance)
        plan = _planned(instance, order)
    if plan is not None:
        plan.require_room()
        if not plan.months:
            return _nothing_to_do(order)
    every = [str(it) for it in Month.parse(order.first).until(Month.parse(order.last))]
    months = sorted(every if plan is None else [it.month for it in plan.months], reverse=True)
    try:
        name = launch(order.dataset, months, _config(order.config), order.workspace or None)
    except KeyboardInterrupt as ended:
        return say_how_to_go_on(str(ended), as_json=order.as_json) if ended.args else say.INTERRUPTED
    which = f"{order.first} to {order.last}" + (f" ({len(months)} {order.only})" if order.only else "")
    begun = f"{order.dataset} {which} is backfill {name}; the daemon queues the newest first"
    return follow(name, begun, as_json=order.as_json)


def _plan(order: Many) -> int:
    with dg.DagsterInstance.get() as instance:
        say_if_nobody_looks(instance)
        plan = _looked_up(instance, order)
    if order.as_json:
        say.document({"command": "plan", "status": "done", **planning.document(plan)})
    else:
        planning.show(plan)
    plan.require_room()
    return say.DONE


def _planned(instance: dg.DagsterInstance, order: Many) -> Plan | None:
    """What it would take; None where the source cannot be asked, and that is not what months are chosen by."""
    try:
        return _looked_up(instance, order)
    except SourceError as error:
        if order.only:
            raise
        told = TaxiPlatformError("nobody knows whether the disk will do", cause=error.what)
        say.complain(say.failure_lines(str(told)))
        return None


def _looked_up(instance: dg.DagsterInstance, order: Many) -> Plan:
    with Console(stderr=True).status("asking the source, the lake and the records of runs"):
        return _planner(instance, order).plan(*_chosen_from(order))


def _planner(instance: dg.DagsterInstance, order: Many) -> planning.Planner:
    catalog = load_catalog()
    actions = actions_of(order.dataset, order.config)
    return planning.Planner(instance, Settings.from_env(), catalog, catalog.trips[order.dataset], actions)


def _chosen_from(order: Many) -> tuple[list[Month], Lack | None]:
    months = Month.parse(order.first).until(Month.parse(order.last))
    return months, Lack(order.only) if order.only else None


def _nothing_to_do(order: Many) -> int:
    told = f"no month of {order.dataset} from {order.first} to {order.last} is {order.only or 'there'}; nothing to do"
    if order.as_json:
        say.document({"command": order.command, "status": "done", "months": []})
    else:
        sys.stdout.write(f"{told}\n")
    return say.DONE


def _config(path: str) -> dict[str, Any]:
    return yaml.safe_load(Path(path).read_text(encoding="utf-8")) if path else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
