"""What `taxi plan` looks up and shows: which months a backfill would take and why, and what they would need."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.table import Column, Table

from taxi_platform.automation.choice import Facts, Lack, failures_of, outdated_by, why_taken
from taxi_platform.automation.freshness import UNKNOWN
from taxi_platform.automation.history import latest, statement_of
from taxi_platform.automation.past import past_of
from taxi_platform.automation.watch import is_changed
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import RuleAction, TripContract
from taxi_platform.core.catalog.published import published_rows
from taxi_platform.core.errors import LakeError
from taxi_platform.core.machine import Width
from taxi_platform.core.month import Month
from taxi_platform.core.planning import FREE_BIGQUERY_BYTES, Plan, PlannedMonth, Rates, bigquery_row_bytes
from taxi_platform.core.room import human_bytes
from taxi_platform.core.source import NotPublishedError, Publication, RetryPolicy, Source, SourceError, open_source
from taxi_platform.core.source.sample import SampleOrigin
from taxi_platform.core.urls import duckdb_path, lake_folder
from taxi_platform.core.warehouse.identity import store_of
from taxi_platform.resources import lake_of
from taxi_platform.settings import Settings

#: A plan asks once; a source that does not answer is no reason not to say what is known without it.
_IMPATIENT = RetryPolicy(attempts=2, timeout=10.0, deadline=25.0)
_ASKED_AT_ONCE = 8


@dataclass(frozen=True)
class Planner:
    """Who plans: what is known here, and the source that is asked.

    Attributes:
        instance: Dagster's instance, for what was done before.
        settings: Where months come from and go to.
        catalog: The contracts.
        contract: The dataset.
        actions: What the rules are to do.
    """

    instance: dg.DagsterInstance
    settings: Settings
    catalog: Catalog
    contract: TripContract
    actions: Mapping[str, RuleAction]

    def plan(self, months: Sequence[Month], only: Lack | None) -> Plan:
        """What a backfill of some months would do.

        Args:
            months: The months it is chosen from, oldest first.
            only: What they are to lack; None: all are taken.

        Raises:
            SourceError: The source cannot be asked.
        """
        facts = self._facts(months, only)
        taken = {month: why for month in months if (why := why_taken(facts[month], only)) is not None}
        announced = {month: it.announced for month, it in facts.items() if it.announced is not None}
        if only is not Lack.CHANGED:  # which has asked already
            announced = self._announced(list(taken))
        rates = Rates.learned_from(past_of(self.instance, self.contract))
        with tempfile.TemporaryDirectory(prefix="taxi-") as folder:
            sizes = _SampleSizes(Path(folder))
            planned = [
                self._planned(month, why, announced.get(month), rates, facts[month], sizes)
                for month, why in taken.items()
            ]
        is_bigquery = self.settings.warehouse_url.startswith("bigquery:")
        width = Width.here().backfill
        row = bigquery_row_bytes(self.contract) if is_bigquery else 0
        return Plan(self.contract.dataset, planned, rates, width, self._folders(), row)

    @property
    def source(self) -> Source:
        """The source, asked without patience."""
        it = self.settings
        return open_source(it.source, it.data_dir / "raw", self.catalog, it.sample_rows, _IMPATIENT)

    def _facts(self, months: Sequence[Month], only: Lack | None) -> dict[Month, Facts]:
        stored, store = self._stored(), store_of(self.settings.warehouse_url)
        failures = failures_of(self.instance, self.contract, months)
        announced = self._announced(months) if only is Lack.CHANGED else {}
        return {
            month: Facts(
                statement_of(
                    self.instance,
                    self.contract,
                    month,
                    stored=UNKNOWN if stored is None else stored.get(month),
                    store=store,
                ),
                failures.get(month, ""),
                announced.get(month),
                outdated_by(self.instance, self.contract, month, self.settings.data_dir, self.actions),
            )
            for month in months
        }

    def _stored(self) -> dict[Month, str] | None:
        try:
            return lake_of(self.settings).open().versions(self.contract)
        except LakeError as error:
            sys.stderr.write(f"{error}\n")
            return None

    def _announced(self, months: Sequence[Month]) -> dict[Month, Publication]:
        """What the source has of some months, asked for several at a time; one that is not published is left out."""
        source, found = self.source, dict[Month, Publication]()

        def ask(month: Month) -> Publication | SourceError | None:
            try:
                return source.probe(self.contract, month)
            except NotPublishedError:
                return None
            except SourceError as error:
                return error

        with ThreadPoolExecutor(_ASKED_AT_ONCE) as asking:
            for month, answer in zip(months, asking.map(ask, months), strict=True):
                if isinstance(answer, SourceError):
                    asking.shutdown(cancel_futures=True)
                    raise answer
                if answer is not None:
                    found[month] = answer
        return found

    def _planned(
        self,
        month: Month,
        why: str,
        found: Publication | None,
        rates: Rates,
        facts: Facts,
        sizes: "_SampleSizes",
    ) -> PlannedMonth:
        if found is None:
            return PlannedMonth(str(month), f"{why}; this source does not have it", None, None, "nobody")
        rows, counted_by = self._rows(month, found)
        size = found.bytes
        if isinstance(origin := self.source.origin, SampleOrigin):
            rows, counted_by, size = origin.rows, "the sample", sizes.of(origin, self.contract, month)
        if rows is None:
            per_row = rates.bytes_per_row(found.edition)
            rows, counted_by = round((size or 0) / per_row), "an estimate"
        if size is None:
            size = round(rows * rates.bytes_per_row(found.edition))
        it = facts.statement
        here = {"raw": it.fetched, "cleaned": it.fetched, "lake": it.stored, "warehouse": it.loaded}
        kept = frozenset(layer for layer, name in here.items() if name is not None)
        return PlannedMonth(str(month), why, size, rows, counted_by, found.edition, kept)

    def _rows(self, month: Month, found: Publication) -> tuple[int | None, str]:
        """Rows of a month's file, and who says so."""
        if isinstance(self.source.origin, SampleOrigin):
            return None, ""
        before = latest(self.instance, dg.AssetKey(["raw", self.contract.table]), month)
        counted = before.told.get("dagster/partition_row_count") if before else None
        if before and counted and is_changed(before.publication, found) is False:
            return int(counted), "an earlier run"
        if (rows := self.source.rows(self.contract, month, found)) is not None:
            return rows, "its footer"
        if (
            self.settings.source in ("web", "tlc")
            and (rows := published_rows(self.contract.dataset, month)) is not None
        ):
            return rows, "TLC's catalogue"
        return None, ""

    def _folders(self) -> dict[str, Path]:
        it = self.settings
        folders: dict[str, Path] = dict.fromkeys(("raw", "cleaned", "at work"), it.data_dir)
        if (lake := lake_folder(it.lake_url)) is not None:
            folders["lake"] = lake
        if (database := duckdb_path(it.warehouse_url)) is not None:
            folders["warehouse"] = database.parent
        return folders


class _SampleSizes:
    """How large generated months are; months of one layout are as good as equally large."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[int, int] = {}

    def of(self, origin: SampleOrigin, contract: TripContract, month: Month) -> int:
        layout = id(contract.layout_of(month, "csv"))
        if layout not in self._known:
            self._known[layout] = origin.bytes_of(contract, month, self._folder)
        return self._known[layout]


def document(plan: Plan) -> dict[str, Any]:
    """A plan, for a program."""
    return {
        "dataset": plan.dataset,
        "months": [
            {
                "month": it.month,
                "why": it.why,
                "bytes": it.bytes,
                "rows": it.rows,
                "rows_by": it.counted_by,
                "published": it.is_published,
            }
            for it in plan.months
        ],
        "bytes": plan.bytes,
        "rows": plan.rows,
        "seconds": round(plan.seconds, 1),
        "learned_from_months": plan.rates.months,
        "months_at_once": plan.width,
        "disk": [
            {
                "folder": str(room.folder),
                "free": room.available,
                "needed": sum(it.bytes for it in needs),
                "layers": {it.layer: it.bytes for it in needs},
            }
            for room, needs in plan.by_disk()
        ],
        "bigquery_bytes": plan.bigquery_bytes,
    }


def show(plan: Plan) -> None:
    """A plan, for people."""
    console = Console(markup=False, highlight=False, emoji=False)
    table = Table("month", _right("bytes"), _right("rows"), "rows by", Column("why", overflow="fold"))
    for it in plan.months:
        size, rows = ("" if it.bytes is None else human_bytes(it.bytes)), ("" if it.rows is None else f"{it.rows:,}")
        table.add_row(it.month, size, rows, it.counted_by, it.why)
    if plan.months:
        console.print(table)
    learned = f"by {plan.rates.months} months before" if plan.rates.months else "by what was measured elsewhere"
    console.print(
        f"{len(plan.months)} months of {plan.dataset}: {human_bytes(plan.bytes)}, {plan.rows:,} rows, "
        f"about {timedelta(seconds=round(plan.seconds))} at {plan.width} months at once ({learned})",
        soft_wrap=True,
    )
    for room, needs in plan.by_disk():
        layers = ", ".join(f"{it.layer} {human_bytes(it.bytes)}" for it in needs)
        needed = human_bytes(sum(it.bytes for it in needs))
        console.print(f"disk of {room.folder}: {needed} of {human_bytes(room.available)} ({layers})", soft_wrap=True)
    if plan.bigquery_row:
        console.print(
            f"BigQuery: to load costs nothing; {human_bytes(plan.bigquery_bytes)} are stored at most, of which "
            f"{human_bytes(FREE_BIGQUERY_BYTES)} a month are free",
            soft_wrap=True,
        )


def _right(title: str) -> Column:
    return Column(title, justify="right")
