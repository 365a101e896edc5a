"""What the commands about many months start: planned, run by the daemon, watched from here.

python -m taxi_platform.cli.many ORDER
"""

import signal
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from taxi_platform.cli import say
from taxi_platform.cli.following import cancel, follow, say_how_to_go_on
from taxi_platform.cli.launching import launch, require_daemon
from taxi_platform.cli.order import Many
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month


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
        return _backfill(order)
    except TaxiPlatformError as error:
        return say.refused(order.command, error, as_json=order.as_json)


def _backfill(order: Many) -> int:
    with dg.DagsterInstance.get() as instance:
        require_daemon(instance)
    months = [str(it) for it in reversed(Month.parse(order.first).until(Month.parse(order.last)))]
    try:
        name = launch(order.dataset, months, _config(order.config), order.workspace or None)
    except KeyboardInterrupt as ended:
        return say_how_to_go_on(str(ended), as_json=order.as_json) if ended.args else say.INTERRUPTED
    begun = f"{order.dataset} {order.first} to {order.last} is backfill {name}; the daemon queues the newest first"
    return follow(name, begun, as_json=order.as_json)


def _config(path: str) -> dict[str, Any]:
    return yaml.safe_load(Path(path).read_text(encoding="utf-8")) if path else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
