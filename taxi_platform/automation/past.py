"""What a dataset's months took before, as the records of their runs say."""

import dagster as dg

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.planning import Past

#: So many months are learned from, the newest; and so many are asked how long they took to begin, each by itself.
_LEARNED_FROM, _ASKED = 60, 12


def past_of(instance: dg.DagsterInstance, contract: TripContract) -> list[Past]:
    """What the newest of a dataset's months took, as far as it is recorded."""
    raw = _newest(instance, "raw", contract)
    cleaned = {run: made for run, _, made in _newest(instance, "cleaned", contract)}
    if not raw:
        return []
    job, runs = f"{contract.table}_job", [run for run, _, _ in raw]
    wanted = dg.RunsFilter(run_ids=runs, statuses=[dg.DagsterRunStatus.SUCCESS], job_name=job)
    records = instance.get_run_records(wanted)
    seconds = {
        it.dagster_run.run_id: it.end_time - it.start_time
        for it in records
        if it.end_time is not None and it.start_time is not None
    }
    starts = {it.dagster_run.run_id: _start_of(instance, it) for it in records[:_ASKED]}
    return [
        Past(
            rows=_number(made, "dagster/partition_row_count"),
            raw=_number(made, "bytes"),
            cleaned=_number(cleaned[run], "bytes") if run in cleaned else 0,
            seconds=seconds.get(run),
            edition=str(made.metadata["edition"].value) if "edition" in made.metadata else "csv",
            start=starts.get(run),
        )
        for run, _, made in raw
    ]


def _start_of(instance: dg.DagsterInstance, record: dg.RunRecord) -> float | None:
    launched = getattr(instance.get_run_stats(record.dagster_run.run_id), "launch_time", None)
    return record.start_time - launched if launched and record.start_time else None


def _newest(
    instance: dg.DagsterInstance, layer: str, contract: TripContract
) -> list[tuple[str, str | None, dg.AssetMaterialization]]:
    asked = dg.AssetRecordsFilter(asset_key=dg.AssetKey([layer, contract.table]))
    found = instance.fetch_materializations(asked, limit=_LEARNED_FROM).records
    return [(it.run_id, it.partition_key, it.asset_materialization) for it in found if it.asset_materialization]


def _number(made: dg.AssetMaterialization, name: str) -> int:
    value = made.metadata[name].value if name in made.metadata else None
    return int(value) if isinstance(value, int | float) else 0
