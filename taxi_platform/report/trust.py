"""Whether to believe a month: what went in, what was kept, what the checks say, which edition it is."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from taxi_platform.automation.history import latest, months_of
from taxi_platform.checks import names_of
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.lake import Lake
from taxi_platform.core.lake.layers import editions_held
from taxi_platform.core.month import Month
from taxi_platform.core.rejects import rejects
from taxi_platform.io_managers.records import FINGERPRINT
from taxi_platform.judged_again import answers_of, is_judged
from taxi_platform.resources import WorkspaceResource

_VERDICT = "agrees_with_tlc_report"
_MOST_RULES = 3


@dataclass(frozen=True)
class Trust:
    """A month, as far as its records go.

    Attributes:
        dataset: The dataset.
        month: As YYYY-MM.
        rows_in: Rows of TLC's file.
        cleaned: Rows that were kept.
        quarantined: Rows that were turned away.
        why: The rules they broke most, in words; empty where none was or the quarantine is on another machine.
        failed: The checks that do not hold, by name.
        passed: How many do.
        not_judged: How many had nothing to judge by.
        verdict: What a look at TLC's own monthly report says.
        edition: Which of TLC's editions it is.
        raw: The SHA-256 of TLC's file.
        fetched: When it was fetched.
        editions: How many different files of the month the lake keeps.
        fingerprint: Of the rows that were kept; empty where nobody made one.
    """

    dataset: str
    month: str
    rows_in: int
    cleaned: int
    quarantined: int
    why: str
    failed: tuple[str, ...]
    passed: int
    not_judged: int
    verdict: str
    edition: str
    raw: str
    fetched: str
    editions: int
    fingerprint: str = ""


def trust_of(instance: dg.DagsterInstance, workspace: WorkspaceResource, lake: Lake, catalog: Catalog) -> list[Trust]:
    """Every month that is cleaned, dataset by dataset, the newest first."""
    return [it for contract in catalog.trips.values() for it in _of_dataset(instance, workspace, lake, contract)]


def _of_dataset(
    instance: dg.DagsterInstance, workspace: WorkspaceResource, lake: Lake, contract: TripContract
) -> list[Trust]:
    raw, cleaned = (dg.AssetKey([layer, contract.table]) for layer in ("raw", "cleaned"))
    checks = _checks(instance, contract)
    editions = editions_held(lake, contract.dataset)
    found = list[Trust]()
    for month in sorted(months_of(instance, cleaned), reverse=True):
        made, fetched = latest(instance, cleaned, month), latest(instance, raw, month)
        if made is None:
            continue
        rows_in, rows = (int(made.told.get(name, "0")) for name in ("rows in", "dagster/partition_row_count"))
        said = checks.get(str(month), {})
        verdict = said.get(_VERDICT)
        told = fetched.told if fetched else {}
        found.append(
            Trust(
                dataset=contract.dataset,
                month=str(month),
                rows_in=rows_in,
                cleaned=rows,
                quarantined=rows_in - rows,
                why=_why(workspace, contract, month) if rows_in > rows else "",
                failed=tuple(sorted(name for name, it in said.items() if not it.passed)),
                passed=sum(it.passed and is_judged(it) for it in said.values()),
                not_judged=sum(it.passed and not is_judged(it) for it in said.values()),
                verdict=(verdict.description or "") if verdict else "not judged",
                edition=told.get("edition", "unknown"),
                raw=told.get("SHA-256", ""),
                fetched=told.get("fetched at", ""),
                editions=editions[month],
                fingerprint=made.told.get(FINGERPRINT, ""),
            )
        )
    return found


def _checks(instance: dg.DagsterInstance, contract: TripContract) -> dict[str, dict[str, dg.AssetCheckEvaluation]]:
    """Month -> check -> what it said last."""
    said: dict[str, dict[str, dg.AssetCheckEvaluation]] = {}
    for layer, name in names_of():
        for answer in answers_of(instance, dg.AssetCheckKey(dg.AssetKey([layer, contract.table]), name)):
            if answer.check.partition:
                said.setdefault(answer.check.partition, {}).setdefault(name, answer.check)
    return said


def _why(workspace: WorkspaceResource, contract: TripContract, month: Month) -> str:
    """The rules that turned rows away, as far as the quarantine is here."""
    quarantine = workspace.kept("quarantine", contract.dataset, month)
    if quarantine is None:
        return ""
    with workspace.folder_for(contract.dataset, f"{month}.page") as work:
        by_rule = rejects(contract, quarantine, work).by_rule
    return ", ".join(f"{name} {rows:,}" for name, rows in list(by_rule.items())[:_MOST_RULES])
