"""Which months of a dataset are as they should be, and what the others lack: what a backfill may be limited to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pyarrow as pa

from taxi_platform.automation.freshness import UNKNOWN, Statement
from taxi_platform.automation.history import latest
from taxi_platform.automation.lack import Lack
from taxi_platform.automation.outcomes import DATASET, failure_of
from taxi_platform.automation.runs import PARTITION
from taxi_platform.automation.watch import is_changed
from taxi_platform.core.catalog.model import RuleAction, TripContract
from taxi_platform.core.editions import MonthFiles
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source import Publication

_FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True)
class Facts:
    """What is known of a month.

    Attributes:
        statement: What is where.
        failure: Why its newest run failed; empty: it did not, or there is none.
        announced: What the source announces now; None: nothing, or it was not asked.
        outdated: In which way its rows were made by what is not the contract any more; empty: they were not.
    """

    statement: Statement = field(default_factory=Statement)
    failure: str = ""
    announced: Publication | None = None
    outdated: str = ""


def lacks_of(it: Facts) -> dict[Lack, str]:
    """What a month lacks, each in words."""
    found: dict[Lack, str] = {}
    if it.statement.loaded is None:
        found[Lack.MISSING] = "the table does not have it"
    elif it.statement.stored is None:
        found[Lack.MISSING] = "the lake does not have it"
    if it.failure:
        found[Lack.FAILED] = it.failure
    before = it.statement.published
    if it.announced is not None and before is not None and is_changed(before, it.announced):
        found[Lack.CHANGED] = "the source announces another file than was fetched"
    if it.outdated:
        found[Lack.OUTDATED] = it.outdated
    return found


def why_taken(it: Facts, only: Lack | None) -> str | None:
    """Why a backfill takes a month; None: it does not."""
    lacks = lacks_of(it)
    if only is not None:
        return f"{only}: {lacks[only]}" if only in lacks else None
    return "; ".join(f"{lack}: {words}" for lack, words in lacks.items()) or "it is here, and is made anew"


def failures_of(instance: dg.DagsterInstance, contract: TripContract, months: Sequence[Month]) -> dict[Month, str]:
    """The months whose newest run failed or was cancelled, and why."""
    keys = [str(it) for it in months]
    newest: dict[str, dg.DagsterRun] = {}
    for run in instance.get_runs(dg.RunsFilter(tags={DATASET: contract.dataset, PARTITION: keys})):
        newest.setdefault(run.tags[PARTITION], run)  # they come the newest first
    failed = {key: run for key, run in newest.items() if run.status in _FAILED}
    return {Month.parse(key): failure_of(instance, run)[1] for key, run in failed.items()}


def outdated_by(
    instance: dg.DagsterInstance,
    contract: TripContract,
    month: Month,
    data_dir: Path,
    actions: Mapping[str, RuleAction],
) -> str:
    """In which way a month was made by what is not the contract any more; empty where it was not, or never made.

    Args:
        instance: Whose records say what made it, where the cleaned file is on another machine.
        contract: The dataset.
        month: The month.
        data_dir: Where a cleaned file would be.
        actions: What the rules are to do.
    """
    path = MonthFiles(data_dir, contract.dataset, month).path("cleaned")
    version, rules = "", dict(actions)
    try:
        lineage = ParquetFile(path).known_lineage if path.exists() else None
    except (OSError, TaxiPlatformError, pa.ArrowException):
        lineage = None  # a file that is damaged; its next run says so
    if lineage is not None:
        version, rules = lineage.contract_version, lineage.rules
    elif (record := latest(instance, dg.AssetKey(["cleaned", contract.table]), month)) is not None:
        version = record.told.get("contract version", UNKNOWN)
    if version and version != contract.version:
        return f"it was made by contract {version}, which is {contract.version} now"
    if differ := sorted(name for name in actions.keys() | rules.keys() if actions.get(name) != rules.get(name)):
        return f"it was made by other rules ({', '.join(differ)})"
    return ""
