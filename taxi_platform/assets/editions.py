"""What another edition of a month's file changes, for the UI and for alerts: told where the month is cleaned anew."""

from pathlib import Path
from typing import Any

import dagster as dg

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.cleaning import CleanedMonth
from taxi_platform.core.comparing import Difference, compare_rows
from taxi_platform.core.lake.layers import MonthLayers
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.io_managers.records import DIFFERENCE

#: Months up to this many rows are compared in the run that replaces them: it takes about as long as to clean them.
_MOST_ROWS = 3_000_000
_MOST_LINES = 10


def edition_metadata(
    contract: TripContract,
    layers: MonthLayers,
    before: tuple[ParquetFile | None, ParquetFile | None],
    now: CleanedMonth,
    work: Path,
) -> dict[str, Any]:
    """What is another than in the edition the month was made of before; nothing where that is the same.

    Args:
        contract: The dataset's contract.
        layers: The month in the lake.
        before: The cleaned and the quarantined rows that are about to be replaced, if there are any.
        now: Those that replace them.
        work: A folder of the run's own.
    """
    cleaned, quarantine = before
    if cleaned is None or quarantine is None or cleaned.lineage.source_sha256 == now.cleaned.lineage.source_sha256:
        return {}
    if max(cleaned.lineage.rows_in, now.cleaned.lineage.rows_in) > _MOST_ROWS:
        return {DIFFERENCE: f"not compared here, it is large: `taxi diff {contract.dataset} {layers.month}` does"}
    folder = work / "difference"
    folder.mkdir()
    found = compare_rows(contract, (cleaned, quarantine), (now.cleaned, now.quarantine), folder)
    return {DIFFERENCE: found.says, "difference in detail": dg.MetadataValue.md(_table(found))}


def _table(found: Difference) -> str:
    lines = ["| column | changed trips |", "|---|--:|"]
    lines += [f"| `{name}` | {count:,} |" for name, count in found.columns.items()]
    lines += ["", "| day | no more | new | changed |", "|---|--:|--:|--:|"]
    lines += [f"| {day} | {a:,} | {b:,} | {c:,} |" for day, a, b, c in found.days]
    for kind, title in (("only_first", "no more"), ("only_second", "new"), ("changed", "changed")):
        if rows := found.samples.get(kind):
            shown = [f"- {', '.join(f'{name} {value}' for name, value in row.items())}" for row in rows[:_MOST_LINES]]
            lines += ["", f"Some that are {title}:", "", *(it.replace("|", "/") for it in shown)]
    return "\n".join(lines)
