"""Backfills watched from a terminal, and cancelled: a line for each month that is done, a table at the end.

The months are run by the daemon of the running instance; ending this process ends nothing but the watching.
"""

import signal
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from taxi_platform.automation.comparing import ENDED, judge_run_again
from taxi_platform.automation.outcomes import failure_of, first_line, is_over, subject_of
from taxi_platform.automation.runs import BACKFILL, PARTITION
from taxi_platform.automation.troubles import silence
from taxi_platform.cli import say
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.judged_again import Said, evaluations_of, is_judged
from taxi_platform.resources import WorkspaceResource, lake_of
from taxi_platform.settings import Settings

_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of a month; of its checks, how many passed, did not hold, and had nothing to judge by."""

    subject: str
    status: dg.DagsterRunStatus
    rows: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    reason: str = ""
    passed: int = 0
    warned: int = 0
    not_judged: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether it is in the warehouse."""
        return self.status is dg.DagsterRunStatus.SUCCESS


def follow(backfill: str, begun: str = "", *, as_json: bool = False) -> int:
    """Watch a backfill until every month of it is done.

    Args:
        backfill: Its name.
        begun: What is said first.
        as_json: Whether nothing is told until the end, and then to a program.

    Returns:
        0 if every month succeeded, 1 if not, 130 if the watching was interrupted.

    Raises:
        TaxiPlatformError: There is none of that name.
    """
    # What errors say is shown as it is: brackets in it are no markup.
    console = Console(markup=False, highlight=False, emoji=False, quiet=as_json)
    done: dict[str, Outcome] = {}
    silent = ""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("months  {task.fields[rows]}"),
    )
    try:
        with ExitStack() as stack:
            end_if_told = stack.enter_context(no_ctrl_c_is_lost())
            if begun:
                console.print(begun)
            instance = stack.enter_context(dg.DagsterInstance.get())
            _require(instance, backfill)
            progress = stack.enter_context(Progress(*columns, console=console))
            task = progress.add_task(f"backfill {backfill}", total=None, rows="")
            while True:
                end_if_told()
                record = instance.get_backfill(backfill)  # before its runs: none is added to one that has ended
                runs = instance.get_run_records(dg.RunsFilter(tags={BACKFILL: backfill}), ascending=True)
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
                has_ended = record is None or record.status.value in ENDED
                is_whole = record is not None and len(latest) == len(record.partition_names or ()) > 0
                if len(done) == len(runs) and (has_ended or is_whole):
                    break
                if not silent and (silent := silence(instance, time.time())):
                    say.complain(say.failure_lines(f"backfill {backfill} waits: {silent}"))
                time.sleep(_POLL_SECONDS)
            said = dict[str, Said]()
            for it in runs:
                if (outcome := latest.get(subject_of(it.dagster_run))) is not None and it.dagster_run.is_success:
                    latest[outcome.subject] = _judged_again(instance, it.dagster_run, outcome, said)
    except KeyboardInterrupt:
        return say_how_to_go_on(backfill, as_json=as_json)
    if record is not None and record.error is not None:
        console.print(f"The daemon gave it up: {record.error.message.strip()}", soft_wrap=True)
    if record is not None and (dropped := set(record.partition_names or ()) - {it[-7:] for it in subjects}):
        latest |= {it: Outcome(it, dg.DagsterRunStatus.CANCELED, reason="it was never started") for it in dropped}
    console.print(_summary(latest.values()))
    is_done = len(latest) == expected and all(it.succeeded for it in latest.values())
    if as_json:
        months = [_month_document(it) for it in sorted(latest.values(), key=lambda it: it.subject)]
        status = "done" if is_done else "failed"
        say.document({"command": "backfill", "backfill": backfill, "status": status, "months": months})
    return say.DONE if is_done else say.FAILED


@contextmanager
def no_ctrl_c_is_lost() -> Generator[Callable[[], None], None, None]:
    """Remember a Ctrl-C until it can be heeded; a second one ends the block at once.

    As an exception it would be lost wherever Python lets none out, as when it collects garbage.

    Yields:
        What ends the block if there was one.
    """
    told: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def hear(number: int, frame: Any) -> None:
        if told:
            signal.default_int_handler(number, frame)
        told.append(number)

    def end_if_told() -> None:
        if told:
            raise KeyboardInterrupt

    if before is not signal.default_int_handler:  # nobody hears it, or somebody else does
        yield end_if_told
        return
    signal.signal(signal.SIGINT, hear)
    try:
        yield end_if_told
    finally:
        signal.signal(signal.SIGINT, before)


def say_how_to_go_on(backfill: str, *, as_json: bool = False) -> int:
    """Say that only the watching has ended."""
    if as_json:
        say.document({"command": "backfill", "backfill": backfill, "status": "goes on"})
    lines = ["", "The backfill goes on.", f"To see it again: taxi follow {backfill}, make follow BACKFILL={backfill}"]
    say.complain([*lines, f"To end it:       taxi cancel {backfill}, make cancel BACKFILL={backfill}"])
    return say.INTERRUPTED


def cancel(backfill: str, *, as_json: bool = False) -> int:
    """Cancel the months of a backfill that are not done.

    Raises:
        TaxiPlatformError: There is none of that name.
    """
    with dg.DagsterInstance.get() as instance:
        _require(instance, backfill)
        record, runs = instance.get_backfill(backfill), instance.get_runs(dg.RunsFilter(tags={BACKFILL: backfill}))
        has_ended = record is None or record.status.value in ENDED
        if record is not None and not has_ended:
            # The daemon queues no more of its months.
            instance.update_backfill(record.with_status(type(record.status)["CANCELING"]))
        going_on = [it for it in runs if not it.is_finished]
        # Those that wait first, or the daemon would start one in the place of each that is ended.
        for run in sorted(going_on, key=lambda it: it.status is not dg.DagsterRunStatus.QUEUED):
            try:
                instance.run_coordinator.cancel_run(run.run_id)
            except dg.DagsterError:
                continue  # its server is gone; it was told that it is cancelled, and run monitoring does the rest
    done = {it.tags.get(PARTITION) for it in runs if it.is_finished}
    left = set(record.partition_names or ()) - done if record and not has_ended else set[str]()
    months = max(len(left), len(going_on))
    told = f"{months} months of backfill {backfill} were cancelled; those that are done stay."
    if as_json:
        say.document({"command": "cancel", "backfill": backfill, "status": "done", "cancelled": months})
    else:
        print(told if months else f"Backfill {backfill} has ended already; nothing was cancelled.")
    return say.DONE


def _require(instance: dg.DagsterInstance, backfill: str) -> None:
    if not instance.get_backfill(backfill) and not instance.get_runs_count(dg.RunsFilter(tags={BACKFILL: backfill})):
        raise TaxiPlatformError(
            f"there is no backfill {backfill}",
            cause="another data folder (TAXI_DATA_DIR, DAGSTER_HOME) than that of `make dev`, or a slip of the pen",
            fix="*Overview / Backfills* in the UI lists all of them",
        )


def _month_document(it: Outcome) -> dict[str, Any]:
    return asdict(it) | {"status": it.status.value.lower()}


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


def _judged_again(instance: dg.DagsterInstance, run: dg.DagsterRun, outcome: Outcome, said: dict[str, Said]) -> Outcome:
    """What became of a month, now that those around it are here."""
    before = checks = evaluations_of(instance, run.run_id)
    why = outcome.reason
    try:
        settings = Settings.from_env()
        workspace, lake = WorkspaceResource(data_dir=str(settings.data_dir)), lake_of(settings)
        checks = judge_run_again(instance, workspace, lake, load_catalog(), run, said)
    except Exception as error:  # noqa: BLE001 (the months are done, and are told of, whatever it is)
        why = f"not compared again: {first_line(str(error), type(error).__name__)}"
    for it in checks:
        if not it.passed and it not in before:
            why = f"{it.check_name}: {it.description}"
            break
    judged = [it for it in checks if is_judged(it)]
    passed = sum(it.passed for it in judged)
    counts = {"passed": passed, "warned": len(judged) - passed, "not_judged": len(checks) - len(judged)}
    return replace(outcome, reason=why, **counts)


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
    table = Table("month", "", "rows", "quarantined", "seconds", "passed", "warned", "not judged", "why")
    for it in sorted(outcomes, key=lambda it: it.subject):
        counts = (f"{it.rows:,}", f"{it.quarantined:,}", f"{it.seconds:.1f}")
        checks = map(str, (it.passed, it.warned, it.not_judged))
        table.add_row(it.subject, it.status.value.lower(), *counts, *checks, it.reason)
    succeeded = sum(it.succeeded for it in outcomes)
    table.caption = f"{succeeded} of {len(outcomes)} months, {sum(it.rows for it in outcomes):,} rows"
    return table
