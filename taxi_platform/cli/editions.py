"""What `taxi editions`, `taxi diff` and the choice in `taxi rollback` start: the versions of a month's file.

python -m taxi_platform.cli.editions ORDER
"""

import logging
import signal
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from taxi_platform.cli import say
from taxi_platform.cli.order import Editions
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.comparing import SAMPLES, Difference, compare_editions
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.files import work_folder
from taxi_platform.core.lake.layers import Choice, MonthLayers
from taxi_platform.core.month import Month
from taxi_platform.core.official.at_hand import OfficialFigures
from taxi_platform.core.official.editions import known_rows, other_edition
from taxi_platform.core.official.report import Report
from taxi_platform.core.official.verdict import judge
from taxi_platform.core.source import RawFile
from taxi_platform.resources import lake_of
from taxi_platform.settings import Settings

#: Letters of an edition's name that people are shown.
_SHORT = 12
#: So many of the trips that have changed are shown in the terminal, and all samples of rows that one edition has alone.
_SHOWN = {"only_first": SAMPLES, "only_second": SAMPLES, "changed": 5}
_LATEST = "latest"
_TITLES = {"only_first": "only in {0}", "only_second": "only in {1}", "changed": "changed from {0} to {1}"}


def main(argument: str) -> int:
    """Do what was asked.

    Returns:
        0; 2 if it was asked wrongly, 1 if it could not be done.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    order = Editions.from_argument(argument)
    settings = Settings.from_env()
    month = Month.parse(order.month)
    layers = lake_of(settings).layers(order.dataset, month)
    try:
        _keep_what_is_here(layers, settings)
        if order.command == "rollback":
            return _choose(order, layers)
        if order.command == "diff":
            return _diff(order, layers, settings)
        return _list(order, layers, OfficialFigures(settings.data_dir).report())
    except TaxiPlatformError as error:
        return say.refused(order.command, error, as_json=order.as_json)
    except KeyboardInterrupt:
        return say.INTERRUPTED
    except Exception as error:  # noqa: BLE001 (it is told, in words)
        return say.mistaken(order.command, error, as_json=order.as_json)


def _keep_what_is_here(layers: MonthLayers, settings: Settings) -> None:
    """An edition that this machine fetched before editions were kept is one of them from now on."""
    here = RawFile.in_folder(settings.data_dir / "raw" / layers.dataset / str(layers.month))
    if here is not None and here.is_whole:
        layers.keep(here)


def _list(order: Editions, layers: MonthLayers, report: Report) -> int:
    kept, choice = layers.editions(), layers.choice()
    told = [_edition_document(layers, it, choice, report) for it in kept]
    if order.as_json:
        about = {"dataset": order.dataset, "month": order.month}
        say.document({"command": "editions", "status": "done", **about, "editions": told})
        return say.DONE
    if not kept:
        sys.stdout.write(f"no edition of {layers.about} was ever fetched; taxi run {order.dataset} {order.month}\n")
        return say.DONE
    table = Table(
        "edition",
        "",
        Column("fetched at, UTC", no_wrap=True),
        "what",
        "rows",
        "by TLC's report",
        title=f"editions of {layers.about}",
    )
    for it in told:
        state = "pinned" if it["pinned"] else "the month" if it["current"] else ""
        rows = f"{it['rows']:,}"
        table.add_row(
            it["edition"][:_SHORT], state, it["fetched_at"][:16].replace("T", " "), it["kind"], rows, it["verdict"]
        )
    console = _console()
    console.print(table)
    for it in told:
        console.print(
            f"{it['edition'][:_SHORT]}: {it['url']}, ETag {it['etag'] or 'none'}; {it['says']}", soft_wrap=True
        )
    return say.DONE


def _edition_document(layers: MonthLayers, raw: RawFile, choice: Choice | None, report: Report) -> dict[str, Any]:
    judgement = judge(
        layers.dataset,
        layers.month,
        raw.rows,
        report,
        lambda month: known_rows(layers.dataset, month, raw.edition),
        other_edition(layers.dataset, layers.month, raw.edition),
    )
    is_current = choice is not None and choice.sha256 == raw.sha256
    return {
        "edition": raw.sha256,
        "current": is_current,
        "pinned": is_current and choice is not None and choice.pinned,
        "fetched_at": raw.fetched_at,
        "url": raw.publication.url,
        "kind": raw.edition,
        "etag": raw.publication.etag,
        "last_modified": raw.publication.last_modified,
        "bytes": raw.bytes,
        "rows": raw.rows,
        "verdict": str(judgement.verdict),
        "says": judgement.says,
    }


def _named(layers: MonthLayers, name: str, kept: list[RawFile]) -> RawFile:
    """The edition a name is of: the beginning of its SHA-256, or `csv` or `parquet` for the newest of that kind.

    Raises:
        TaxiPlatformError: It is of none, or of several.
    """
    found = [it for it in kept if it.sha256.startswith(name.lower())] if name else []
    if name in ("csv", "parquet"):
        found = [it for it in kept if it.edition == name][-1:]
    if len(found) != 1:
        held = ", ".join(f"{it.sha256[:_SHORT]} ({it.edition}, {it.rows:,} rows)" for it in kept) or "none"
        raise TaxiPlatformError(
            f"{'several editions begin with' if found else 'there is no edition'} {name!r}",
            about=layers.about,
            cause=f"the lake holds {held}",
            fix=f"give the beginning of the name of one; taxi editions {layers.dataset} {layers.month} lists them",
        )
    return found[0]


def _choose(order: Editions, layers: MonthLayers) -> int:
    """Pin an edition, or let go."""
    if order.first == _LATEST:
        choice = layers.choice()
        if choice is not None:
            layers.choose(choice.sha256, pinned=False)
        told = f"{layers.about} is not pinned: it is made of what the source publishes"
    else:
        raw = _named(layers, order.first, layers.editions())
        layers.choose(raw.sha256, pinned=True)
        told = (
            f"{layers.about} is pinned to {raw.sha256[:_SHORT]} ({raw.edition}, {raw.rows:,} rows); "
            f"taxi rollback {layers.dataset} {layers.month} {_LATEST} lets go"
        )
    sys.stderr.write(f"{told}\n")
    return say.DONE


def _diff(order: Editions, layers: MonthLayers, settings: Settings) -> int:
    first, second = _two(order, layers)
    contract = load_catalog().trips[order.dataset]
    log = logging.getLogger(__name__)
    with (
        Console(stderr=True).status("reading both editions"),
        work_folder(settings.data_dir / "cleaned" / order.dataset, f"{order.month}.diff") as work,
    ):
        brought: list[RawFile] = []
        for name, it in (("a", first), ("b", second)):  # beside the month's own raw file, which stays what it is
            brought.append(layers.bring(it.sha256, work / name, log))
        compared = work / "compared"
        compared.mkdir()
        found = compare_editions(contract, layers.month, brought[0], brought[1], compared)
    if order.as_json:
        say.document(
            {
                "command": "diff",
                "status": "done",
                "dataset": order.dataset,
                "month": order.month,
                "a": _side_document(first),
                "b": _side_document(second),
                **_document(found),
            }
        )
    else:
        _show(layers, first, second, found)
    return say.DONE


def _two(order: Editions, layers: MonthLayers) -> tuple[RawFile, RawFile]:
    """The editions that are compared: those named; else the one before the month's own, and the month's own."""
    kept, choice = layers.editions(), layers.choice()
    if len(kept) < 2:
        raise TaxiPlatformError(
            f"there is {'one edition' if kept else 'no edition'} of the month, and nothing to compare",
            about=layers.about,
            cause="the lake keeps each file that was fetched of a month, and the source has not replaced it",
            fix="run the month again once it is published anew, or with another TAXI_SOURCE (tlc, mirror)",
        )
    current = next((it for it in kept if choice is not None and it.sha256 == choice.sha256), kept[-1])
    second = _named(layers, order.second, kept) if order.second else current
    if order.first:
        return _named(layers, order.first, kept), second
    place = kept.index(second)
    return kept[place - 1] if place else kept[1], second


def _side_document(raw: RawFile) -> dict[str, Any]:
    return {"edition": raw.sha256, "kind": raw.edition, "rows": raw.rows, "fetched_at": raw.fetched_at}


def _document(found: Difference) -> dict[str, Any]:
    return {
        "same": found.same,
        "only_a": found.only_first,
        "only_b": found.only_second,
        "changed": found.changed,
        "identified_by": list(found.by),
        "columns": found.columns,
        "days": [{"day": day, "only_a": a, "only_b": b, "changed": c} for day, a, b, c in found.days],
        "samples": {
            "only_a": found.samples["only_first"],
            "only_b": found.samples["only_second"],
            "changed": found.samples["changed"],
        },
    }


def _show(layers: MonthLayers, first: RawFile, second: RawFile, found: Difference) -> None:
    names = [f"{it.edition} {it.sha256[:_SHORT]}" for it in (first, second)]
    console = _console()
    console.print(f"{layers.about}: {names[0]} ({first.rows:,} rows) and {names[1]} ({second.rows:,} rows)")
    console.print(found.says, soft_wrap=True)
    if found.columns:
        table = Table("column", "changed trips")
        for name, count in found.columns.items():
            table.add_row(name, f"{count:,}")
        console.print(table)
    if found.days:
        table = Table("day", f"only in {names[0]}", f"only in {names[1]}", "changed")
        for day, *counts in found.days:
            table.add_row(day, *(f"{it:,}" if it else "" for it in counts))
        console.print(table)
    totals: Mapping[str, int] = {
        "only_first": found.only_first,
        "only_second": found.only_second,
        "changed": found.changed,
    }
    for kind, title in _TITLES.items():
        if rows := found.samples[kind]:
            many = min(_SHOWN[kind], len(rows))
            console.print(f"{title.format(*names)}, {many} of {totals[kind]:,}:", soft_wrap=True)
        for row in rows[: _SHOWN[kind]]:
            console.print(f"  {', '.join(f'{name} {value}' for name, value in row.items())}", soft_wrap=True)


def _console() -> Console:
    return Console(markup=False, highlight=False, emoji=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
