"""What `taxi verify` starts: the fingerprints of months, made anew where their rows lie, and held against each other.

python -m taxi_platform.cli.verifying ORDER
"""

import signal
import sys
from collections.abc import Iterator
from typing import Any

import duckdb
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

from taxi_platform.cli import say
from taxi_platform.cli.order import Verification
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.editions import held_still
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.files import work_folder
from taxi_platform.core.findings import Finding
from taxi_platform.core.month import Month
from taxi_platform.core.showing import LONGEST_TEXT, shown
from taxi_platform.core.verifying import Verified, verify_month
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.resources import google_clients, lake_of
from taxi_platform.settings import Settings

#: Digits of a fingerprint that people are shown.
_SHORT = 12


def main(argument: str) -> int:
    """Do what was asked.

    Returns:
        0; 1 if a month is another in one store than in the other, or could not be looked at.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    order = Verification.from_argument(argument)
    try:
        found = [*_found(order, Settings.from_env())]
    except TaxiPlatformError as error:
        return _unseen(order, error)
    except KeyboardInterrupt:
        return say.INTERRUPTED
    except Exception as error:  # noqa: BLE001 (it is told, in words)
        return say.mistaken(order.command, error, as_json=order.as_json)
    apart = [it for it in found if not it.finding.holds]
    if order.as_json:
        say.document(_document(order, found, apart))
    else:
        _show(order, found)
    if apart:
        say.complain(say.failure_lines(str(_error(order, apart))))
    return say.FAILED if apart else say.DONE


def _unseen(order: Verification, error: TaxiPlatformError) -> int:
    """Say that a store could not be asked."""
    say.complain(say.failure_lines(str(error)))
    if order.as_json:
        say.document({"command": order.command, "status": "failed", "error": say.error_document(str(error))})
    return say.FAILED


def _found(order: Verification, settings: Settings) -> Iterator[Verified]:
    catalog = load_catalog()
    contract, lake = catalog.trips[order.dataset], lake_of(settings).open()
    store = open_warehouse(settings.warehouse_url, catalog.zones, google_clients(settings.gcp_credentials))
    held = lake.versions(contract)
    months = Month.parse(order.first).until(Month.parse(order.last))
    for month in track(months, f"verifying {order.dataset}", console=Console(stderr=True), transient=True):
        try:
            with work_folder(settings.data_dir / "cleaned" / order.dataset, f"{month}.verify") as work:
                file = lake.get(contract, month) if month in held else None
                with held_still(f"{order.dataset} {month}", *([file] if file else [])):
                    yield verify_month(contract, month, store, file, work)
        except (TaxiPlatformError, duckdb.Error) as error:
            if getattr(error, "may_pass_later", False):
                raise  # nor would the next month be told of
            yield Verified(month, "", None, None, Finding(holds=False, says=str(error).splitlines()[0]))


def _state(it: Verified) -> str:
    if not it.finding.holds:
        return "differs"
    return "agrees" if it.is_held else "not held"


def _error(order: Verification, apart: list[Verified]) -> TaxiPlatformError:
    first, *others = apart
    more = f" (and {len(others):,} more)" if others else ""
    return TaxiPlatformError(
        f"the table is not what the lake holds: {shown(first.finding.says, LONGEST_TEXT)}",
        about=f"{order.dataset} {first.month}{more}",
        cause="somebody has changed one of them, or a load was stopped by its check",
        fix=f"run the month again: taxi run {order.dataset} {first.month}",
    )


def _document(order: Verification, found: list[Verified], apart: list[Verified]) -> dict[str, Any]:
    return {
        "command": order.command,
        "status": "failed" if apart else "done",
        "dataset": order.dataset,
        "months": [
            {
                "month": str(it.month),
                "state": _state(it),
                "rows": {"lake": it.in_lake and it.in_lake.rows, "table": it.in_table and it.in_table.rows},
                "fingerprint": {
                    "lineage": it.said or None,
                    "lake": it.in_lake and it.in_lake.digits,
                    "table": it.in_table and it.in_table.digits,
                },
                "says": it.finding.says,
            }
            for it in found
        ],
        **({"error": say.error_document(str(_error(order, apart)))} if apart else {}),
    }


def _show(order: Verification, found: list[Verified]) -> None:
    table = Table("month", "lake", "table", Column("rows", justify="right"), "")
    for it in found:
        digits = [made.digits[:_SHORT] if made and made.rows else "–" for made in (it.in_lake, it.in_table)]
        rows = it.in_lake or it.in_table
        table.add_row(str(it.month), *digits, f"{rows.rows:,}" if rows else "", _state(it))
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(table)
    agreeing = sum(it.finding.holds and it.is_held for it in found)
    console.print(f"{order.dataset}: {agreeing:,} of {sum(it.is_held for it in found):,} months agree")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
