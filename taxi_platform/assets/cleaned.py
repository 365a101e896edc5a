"""2. `cleaned/<d>_trips` and `quarantine/<d>_trips`: every row of the raw file in exactly one of the two.

Before: `raw.py`. Next: `lake.py`.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from taxi_platform.assets.editions import edition_metadata
from taxi_platform.assets.metadata import (
    attributes,
    change_metadata,
    column_lineage,
    preview,
    quarantine_metadata,
    rows_metadata,
    rules_metadata,
    table_metadata,
)
from taxi_platform.core.catalog.model import EXTRA_COLUMNS, RuleAction, TripContract
from taxi_platform.core.cleaning import clean, moves
from taxi_platform.core.editions import held_still
from taxi_platform.core.showing import listed
from taxi_platform.core.source import RawFile
from taxi_platform.failures import reported
from taxi_platform.io_managers.records import FINGERPRINT
from taxi_platform.months import month_of, partitions_of
from taxi_platform.resources import LakeResource, WorkspaceResource


def build_cleaned_assets(contract: TripContract) -> dg.AssetsDefinition:
    """The step that makes a dataset's cleaned and quarantined months.

    A run may set the action of any rule: `ops: {clean_<d>_trips: {config: {rules: {<rule>: reject | warn | "off"}}}}`,
    and say with `fewer_rows_are_meant: true` beside `rules` that a month without rows, or with far fewer, is meant.
    """

    @dg.multi_asset(
        name=f"clean_{contract.table}",
        ins={"raw": dg.AssetIn(key=["raw", contract.table])},
        outs={
            "cleaned": dg.AssetOut(
                **attributes(contract, "cleaned"),
                description=f"The rows to be trusted, as Parquet with one schema for all years. {contract.title}.",
                kinds={"cleaned", "parquet"},
                code_version=contract.version,
                metadata=table_metadata(contract, contract.stored_columns),
                io_manager_key="parquet_io_manager",
            ),
            "quarantine": dg.AssetOut(
                **attributes(contract, "quarantine"),
                description=f"Rows turned away, as published, and the rules they broke. {contract.title}.",
                kinds={"quarantine", "parquet"},
                code_version=contract.version,
                metadata=quarantine_metadata(contract),
                io_manager_key="parquet_io_manager",
            ),
        },
        partitions_def=partitions_of(contract),
    )
    def clean_trips(
        context: dg.AssetExecutionContext,
        config: _config_of(contract),  # pyright: ignore[reportInvalidTypeForm]
        workspace: WorkspaceResource,
        lake: LakeResource,
        raw: RawFile,
    ) -> Iterator[dg.Output]:
        with reported(contract.dataset):
            month = month_of(context, contract)
            actions = contract.actions({name: action.value for name, action in config.rules})
            files = workspace.files(contract.dataset, month)
            before_us = files.standing()
            with workspace.folder_for(contract.dataset, str(month)) as work:
                layers = lake.layers(contract.dataset, month)
                choice = layers.choice()
                # Who pins an edition means it, however few rows it has.
                meant = config.fewer_rows_are_meant or bool(choice and choice.pinned and choice.sha256 == raw.sha256)
                with held_still(files.about, raw):
                    result = clean(
                        contract,
                        month,
                        raw,
                        actions,
                        work,
                        fewer_rows_are_meant=meant,
                        shapes=workspace.shapes,
                    )
                before = workspace.kept("cleaned", contract.dataset, month)
                turned_away = workspace.kept("quarantine", contract.dataset, month)
                moved = moves(turned_away, result.quarantine, work)
                sources = {**result.sources, EXTRA_COLUMNS: tuple(result.cleaned.lineage.unknown_columns)}
                context.log.info(f"{contract.dataset} {month}: {result.summary}{f'; {moved}' if moved else ''}")
                if unknown := result.cleaned.lineage.unknown_columns:
                    context.log.warning(f"{contract.dataset} {month}: columns no contract knows: {listed(unknown)}")
                if result.zones:
                    context.log.info(f"{contract.dataset} {month}: zones are {result.zones}")
                about = (
                    rules_metadata(result)
                    | column_lineage("raw", contract, sources)
                    | {
                        "moved by this replay": str(moved or "nothing to compare with: another file, or the first run"),
                    }
                    | ({"zones": result.zones} if result.zones else {})
                    | change_metadata(before.lineage if before else None, result.cleaned.lineage)
                    | edition_metadata(contract, layers, (before, turned_away), result, work)
                )
                told = {
                    name: rows_metadata(file, result.seconds) | about | {"preview": preview(file)}
                    for name, file in (("quarantine", result.quarantine), ("cleaned", result.cleaned))
                }
                told["cleaned"][FINGERPRINT] = result.cleaned.lineage.fingerprint
                # All of what is said first: nothing may fail between the one file's place and the other's.
                placed = files.publish(result.cleaned, result.quarantine, before_us)
            for name, file in placed.items():
                yield dg.Output(file, name, metadata=told[name])

    return clean_trips


class _Action(Enum):
    """A rule's action; Dagster shows and reads an enum by its members' names."""

    reject = RuleAction.REJECT
    warn = RuleAction.WARN
    off = RuleAction.OFF


_Action.__name__ = ", ".join(RuleAction)  # Dagster tells whoever sets another action the enum's name, not its members


def _config_of(contract: TripContract) -> type[dg.Config]:
    """The step's run config: a field for all there is to say, so that the launchpad lists it and refuses others."""
    fields: dict[str, Any] = {
        rule.name: (_Action, Field(default=_Action(rule.action), description=rule.description))
        for rule in contract.rules
    }
    rules = create_model(f"{contract.dataset.capitalize()}Rules", __base__=dg.Config, **fields)
    return create_model(
        f"Clean{contract.dataset.capitalize()}Trips",
        __base__=dg.Config,
        rules=(rules, Field(default=rules(), description="What happens to the rows that break a rule, in this run.")),
        fewer_rows_are_meant=(
            bool,
            Field(
                default=False,
                description="Whether the month may have no rows, or less than half of those it had. Without this the "
                "check month_has_not_shrunk stops such a month before the lake.",
            ),
        ),
    )
