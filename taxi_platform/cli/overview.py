"""What `taxi status` and `taxi metrics` start: a look at everything, for people, for programs and for Prometheus.

python -m taxi_platform.cli.overview ORDER
"""

import signal
import sys
import threading
from typing import Any

import dagster as dg
from prometheus_client import start_http_server
from rich.console import Console
from rich.table import Column, Table

from taxi_platform.automation.figures import LAYERS, DatasetFigures, Figures, by_severity, figures_of
from taxi_platform.cli import say
from taxi_platform.cli.metrics import registry_of, text_of
from taxi_platform.cli.order import Overview
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.room import human_bytes
from taxi_platform.settings import Settings


def main(argument: str) -> int:
    """Do what was asked.

    Returns:
        0; 2 if it was asked wrongly, 1 if it could not be done.
    """
    order = Overview.from_argument(argument)
    try:
        with dg.DagsterInstance.get() as instance:
            settings, catalog = Settings.from_env(), load_catalog()

            def look() -> Figures:
                return figures_of(instance, settings, catalog, [order.dataset] if order.dataset else None)

            if order.command == "metrics":
                return _serve(order, look) if order.port else _print(text_of(look))
            found = look()
            say.document(document(found)) if order.as_json else show(found)
            return say.DONE
    except TaxiPlatformError as error:
        return say.refused(order.command, error, as_json=order.as_json)
    except Exception as error:  # noqa: BLE001 (it is told, in words)
        return say.mistaken(order.command, error, as_json=order.as_json)


def _print(text: str) -> int:
    sys.stdout.write(text)
    return say.DONE


def _serve(order: Overview, look: Any) -> int:
    """Answer at a port until somebody says that it is over."""
    is_over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_over.set())
    try:
        server, thread = start_http_server(order.port, order.host, registry_of(look))
    except OSError as error:
        raise TaxiPlatformError(
            f"the figures cannot have port {order.port}",
            where=order.host,
            cause=error.strerror or str(error),
            fix="take another: taxi metrics --port …",
        ) from error
    sys.stderr.write(f"http://{order.host}:{server.server_port}/metrics\n")
    sys.stderr.flush()
    is_over.wait()
    server.shutdown()
    server.server_close()
    thread.join()
    return say.DONE


def document(found: Figures) -> dict[str, Any]:
    """How the platform is, for a program."""
    return {
        "command": "status",
        "status": "done",
        "datasets": [_dataset_document(it) for it in found.datasets],
        "runs": dict(found.runs),
        "queue_wait_seconds": round(found.longest_wait_seconds, 1),
        "ticks": [{"name": it.name, "status": it.status, "at": it.at} for it in found.ticks],
        "daemons": dict(found.daemons),
        "disk_free_bytes": {name: room.available for name, room in found.disks.items()},
        "lake_answers": found.lake_answers,
    }


def _dataset_document(it: DatasetFigures) -> dict[str, Any]:
    return {
        "dataset": it.dataset,
        "months": dict(it.months),
        "newest": str(it.newest) if it.newest else None,
        "rows": it.rows,
        "rejected_share": round(it.rejected_share, 6),
        "late": it.is_late,
        "failed": {str(month): why for month, why in it.failed.items()},
        "outdated": [str(month) for month in it.outdated],
        "failing_checks": {name: "error" if is_error else "warning" for name, is_error in it.failing_checks.items()},
    }


def show(found: Figures) -> None:
    """How the platform is, for people."""
    console = Console(markup=False, highlight=False, emoji=False)
    names = [Column(it, no_wrap=True) for it in ("dataset", "newest")]
    counts = [Column(layer, justify="right") for layer in LAYERS]
    table = Table(
        names[0],
        *counts,
        names[1],
        "late",
        "failed",
        "warned",
        "older contract",
        title="months by layer",
        padding=(0, 0),
    )
    for it in found.datasets:
        layers = [str(it.months.get(layer, 0)) for layer in LAYERS]
        newest, is_late, warned = str(it.newest or ""), "late" if it.is_late else "", by_severity(it).total()
        figures = [str(len(it.failed) or ""), str(warned or ""), str(len(it.outdated) or "")]
        table.add_row(it.dataset, *layers, newest, is_late, *figures)
    console.print(table)
    for it in found.datasets:
        for month, why in sorted(it.failed.items(), reverse=True)[:5]:
            console.print(f"{it.dataset} {month} failed: {why}", soft_wrap=True)
        if it.failing_checks:
            console.print(f"{it.dataset}: does not hold: {', '.join(sorted(it.failing_checks))}", soft_wrap=True)
    at_work = {state: count for state, count in found.runs.items() if count and state not in ("success", "failure")}
    told = ", ".join(f"{count} {state}" for state, count in at_work.items()) or "nothing is queued or at work"
    console.print(f"runs: {told}; the oldest in the queue has waited {found.longest_wait_seconds:,.0f} s")
    if unwell := sorted(name.lower() for name, is_well in found.daemons.items() if not is_well):
        console.print(f"daemons that are not running: {', '.join(unwell)}", soft_wrap=True)
    for name, room in found.disks.items():
        console.print(f"disk of {name}: {human_bytes(room.available)} free", soft_wrap=True)
    if not found.lake_answers:
        console.print("the lake cannot be asked: its months are those that were stored from here")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
