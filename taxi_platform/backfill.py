"""What `make backfill`, `follow` and `cancel` show and do: months in a queue, watched from a terminal.

    python -m taxi_platform.backfill start DATASET FROM TO
    python -m taxi_platform.backfill follow BACKFILL
    python -m taxi_platform.backfill cancel BACKFILL

The months are run by the daemon of the running instance; ending this process ends nothing but the watching.
"""

import signal
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus, PartitionBackfill
from dagster._core.execution.job_backfill import submit_backfill_runs
from dagster._core.remote_origin import RemotePartitionSetOrigin, RemoteRepositoryOrigin
from dagster._core.remote_representation.external_data import partition_set_snap_name_for_job_name
from dagster._core.utils import make_new_backfill_id
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from taxi_platform.automation.burial import bury
from taxi_platform.automation.outcomes import failure_of, is_over, subject_of
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month

_WORKSPACE = WorkspaceFileTarget(["workspace.yaml"])
_TAG = "dagster/backfill"
_POLL_SECONDS = 1.0
#: So many months are queued before the daemon takes over, at its next look.
_AT_ONCE = 24


@dataclass(frozen=True)
class Outcome:
    """What became of a month."""

    subject: str
    status: dg.DagsterRunStatus
    rows: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    reason: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether it is in the warehouse."""
        return self.status is dg.DagsterRunStatus.SUCCESS


def main(arguments: Sequence[str]) -> int:
    """Do what was asked.

    Returns:
        0 if every month succeeded, 1 if not, 2 if there is no such backfill or nothing to run one, 130 if the watching
        was interrupted.
    """
    # What errors say is shown as it is: brackets in it are no markup.
    console = Console(markup=False, highlight=False, emoji=False)
    match arguments:
        case ["start", dataset, first, last]:
            backfill = _planned(dataset, Month.parse(first), Month.parse(last))
            name = backfill.backfill_id
            # Whoever ends this: the backfill is handed over, or was not begun.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                began = _start(backfill)
            except TaxiPlatformError as error:
                sys.stderr.write(f"{error}\n")
                return 2
            except KeyboardInterrupt:
                with dg.DagsterInstance.get() as instance:
                    is_there = instance.get_backfill(name) is not None
                return _say_how_to_go_on(console, name) if is_there else 130
            return _follow(console, name, f"{dataset} {first} to {last} is backfill {name}; {began}")
        case ["follow", backfill]:
            return _follow(console, backfill)
        case ["cancel", backfill]:
            return _cancel(console, backfill)
        case _:
            sys.stderr.write(__doc__ or "")
            return 2


def _planned(dataset: str, first: Month, last: Month) -> PartitionBackfill:
    """Months of a dataset, the newest first."""
    (location,) = _WORKSPACE.create_origins()
    job = partition_set_snap_name_for_job_name(f"{dataset}_trips_job")
    return PartitionBackfill(
        backfill_id=make_new_backfill_id(),
        partition_set_origin=RemotePartitionSetOrigin(
            repository_origin=RemoteRepositoryOrigin(
                code_location_origin=location, repository_name=SINGLETON_REPOSITORY_NAME
            ),
            partition_set_name=job,
        ),
        status=BulkActionStatus.REQUESTED,
        partition_names=[str(month) for month in reversed(first.until(last))],
        from_failure=False,
        tags={},
        backfill_timestamp=time.time(),
    )


def _start(backfill: PartitionBackfill) -> str:
    """Queue the first months, and hand the backfill to the daemon.

    As the UI does, and not as `dagster job backfill`: that queues the oldest first, and then calls the backfill
    completed, whereupon a month whose worker dies is not run again.

    Returns:
        How it begins.

    Raises:
        TaxiPlatformError: There is no daemon.
    """
    with dg.DagsterInstance.get() as instance:
        bury(instance)
        if not all(it.healthy for it in instance.get_daemon_statuses(["BACKFILL"]).values()):
            raise TaxiPlatformError(
                "nothing would run the months", cause="no daemon is running", fix="run `make dev` first"
            )
        try:
            _queue(instance, backfill)
        except Exception as error:  # noqa: BLE001 (the daemon will meet what it was, and say so with the backfill)
            return f"its months are queued within half a minute (not at once: {type(error).__name__})"
        finally:
            _hand_over(instance, backfill)
    return "its newest months are queued"


def _queue(instance: dg.DagsterInstance, backfill: PartitionBackfill) -> None:
    """Queue the first months: the daemon looks for new backfills twice a minute, and into the queue every second."""
    months = list(backfill.partition_names or ())[:_AT_ONCE]
    with WorkspaceProcessContext(instance, _WORKSPACE, code_server_log_level="ERROR") as context:
        list(submit_backfill_runs(instance, context.create_request_context, backfill, months))


def _hand_over(instance: dg.DagsterInstance, backfill: PartitionBackfill) -> None:
    """Let the daemon do the months that are not queued; nothing comes between."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # The daemon passes over months that have a run, and one that was made and not queued would never begin.
        made = dg.RunsFilter(tags={_TAG: backfill.backfill_id}, statuses=[dg.DagsterRunStatus.NOT_STARTED])
        for run in instance.get_runs(made):
            instance.delete_run(run.run_id)
        instance.add_backfill(backfill)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(console: Console, backfill: str, begun: str = "") -> int:
    done: dict[str, Outcome] = {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("months  {task.fields[rows]}"),
    )
    try:
        if begun:
            console.print(begun)
        with ExitStack() as stack:
            instance = stack.enter_context(dg.DagsterInstance.get())
            if not _is_known(console, instance, backfill):
                return 2
            progress = stack.enter_context(Progress(*columns, console=console))
            task = progress.add_task(f"backfill {backfill}", total=None, rows="")
            while True:
                record = instance.get_backfill(backfill)  # before its runs: none is added to one that has ended
                runs = instance.get_run_records(dg.RunsFilter(tags={_TAG: backfill}), ascending=True)
                for it in runs:
                    run = it.dagster_run
                    if run.run_id not in done and is_over(instance, run, time.time() - (it.end_time or 0.0)):
                        outcome = done[run.run_id] = _outcome_of(instance, it)
                        progress.console.print(_line(outcome), soft_wrap=True)
                # A month that was run again is what its last run made of it.
                latest = {it.subject: it for it in done.values()}
                subjects = {subject_of(it.dagster_run) for it in runs}
                expected = max(len(subjects), len(record.partition_names or ()) if record else 0)
                progress.update(task, total=expected, completed=len(latest), rows=_speed(runs, latest, expected))
                has_ended = record is None or record.status in BULK_ACTION_TERMINAL_STATUSES
                is_whole = record is not None and len(latest) == len(record.partition_names or ()) > 0
                if len(done) == len(runs) and (has_ended or is_whole):
                    break
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        return _say_how_to_go_on(console, backfill)
    if record is not None and record.error is not None:
        console.print(f"The daemon gave it up: {record.error.message.strip()}", soft_wrap=True)
    if record is not None and (dropped := set(record.partition_names or ()) - {it[-7:] for it in subjects}):
        latest |= {it: Outcome(it, dg.DagsterRunStatus.CANCELED, reason="it was never started") for it in dropped}
    console.print(_summary(latest.values()))
    return 0 if len(latest) == expected and all(it.succeeded for it in latest.values()) else 1


def _say_how_to_go_on(console: Console, backfill: str) -> int:
    console.print(
        f"\nThe backfill goes on.\nTo see it again: make follow BACKFILL={backfill}"
        f"\nTo end it:       make cancel BACKFILL={backfill}"
    )
    return 130


def _cancel(console: Console, backfill: str) -> int:
    with dg.DagsterInstance.get() as instance:
        if not _is_known(console, instance, backfill):
            return 2
        record, runs = instance.get_backfill(backfill), instance.get_runs(dg.RunsFilter(tags={_TAG: backfill}))
        has_ended = record is None or record.status in BULK_ACTION_TERMINAL_STATUSES
        if record is not None and not has_ended:
            # The daemon queues no more of its months.
            instance.update_backfill(record.with_status(BulkActionStatus.CANCELING))
        going_on = [it for it in runs if not it.is_finished]
        # Those that wait first, or the daemon would start one in the place of each that is ended.
        for run in sorted(going_on, key=lambda it: it.status is not dg.DagsterRunStatus.QUEUED):
            try:
                instance.run_coordinator.cancel_run(run.run_id)
            except DagsterUserCodeUnreachableError:
                continue  # its server is gone; it was told that it is cancelled, and run monitoring does the rest
    done = {it.tags.get("dagster/partition") for it in runs if it.is_finished}
    left = set(record.partition_names or ()) - done if record and not has_ended else set[str]()
    months = max(len(left), len(going_on))
    told = f"{months} months of backfill {backfill} were cancelled; those that are done stay."
    console.print(told if months else f"Backfill {backfill} has ended already; nothing was cancelled.")
    return 0


def _is_known(console: Console, instance: dg.DagsterInstance, backfill: str) -> bool:
    known = bool(instance.get_backfill(backfill) or instance.get_runs_count(dg.RunsFilter(tags={_TAG: backfill})))
    if not known:
        console.print(f"There is no backfill {backfill}.")
    return known


def _outcome_of(instance: dg.DagsterInstance, record: dg.RunRecord) -> Outcome:
    run = record.dagster_run
    rows: dict[str, int] = {}
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        if entry.asset_materialization is not None:
            found = entry.asset_materialization.metadata.get("dagster/partition_row_count")
            rows[entry.asset_materialization.asset_key.path[0]] = int(str(found.value)) if found else 0
    failed = run.status is dg.DagsterRunStatus.FAILURE
    return Outcome(
        subject=subject_of(run),
        status=run.status,
        rows=rows.get("warehouse", 0) if run.is_success else 0,
        quarantined=rows.get("quarantine", 0),
        seconds=(record.end_time or 0.0) - record.start_time if record.start_time else 0.0,
        reason=failure_of(instance, run)[1] if failed else "",
    )


def _speed(runs: Sequence[dg.RunRecord], latest: dict[str, Outcome], expected: int) -> str:
    """Rows so far and how fast they came, counted from the first run's start: whoever looks later sees the same."""
    rows = sum(it.rows for it in latest.values())
    started = min((it.start_time for it in runs if it.start_time), default=None)
    if started is None:
        return "waiting for the first to start"
    ended = max(it.end_time or 0.0 for it in runs) if len(latest) == expected else time.time()
    seconds = max(ended - started, 1e-3)
    left = f", {seconds / len(latest) * (expected - len(latest)):,.0f} s left" if latest else ""
    return f"{rows:,} rows, {rows / seconds:,.0f} rows/s, {seconds:,.0f} s{left}"


def _line(outcome: Outcome) -> str:
    if outcome.succeeded:
        return f"{outcome.subject}  {outcome.rows:>12,} rows  {outcome.seconds:6.1f} s"
    return f"{outcome.subject}  {': '.join(filter(None, (outcome.status.value.lower(), outcome.reason)))}"


def _summary(outcomes: Collection[Outcome]) -> Table:
    table = Table("month", "", "rows", "quarantined", "seconds", "why")
    for it in sorted(outcomes, key=lambda it: it.subject):
        table.add_row(
            it.subject, it.status.value.lower(), f"{it.rows:,}", f"{it.quarantined:,}", f"{it.seconds:.1f}", it.reason
        )
    succeeded = sum(it.succeeded for it in outcomes)
    table.caption = f"{succeeded} of {len(outcomes)} months, {sum(it.rows for it in outcomes):,} rows"
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
