"""What `taxi run` and `taxi references` start: one job, here, told layer by layer.

    python -m taxi_platform.cli.month ORDER

Dagster's own log goes into the instance as ever; people see it with `--verbose`, and get a line per layer without.
"""

import os
import signal
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from taxi_platform.automation.burial import LAUNCHED, bury
from taxi_platform.automation.leaving import leave_to_the_system
from taxi_platform.automation.outcomes import failure_of
from taxi_platform.automation.runs import PARTITION, RANGE_END, RANGE_START
from taxi_platform.cli import say
from taxi_platform.cli.layers import Teller
from taxi_platform.cli.order import Job
from taxi_platform.cli.silence import say_if_nobody_looks
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.showing import LONGEST_TEXT, shown
from taxi_platform.failures import ENDED, ENDED_BY

_NO_CAUSE = "what Dagster says of the run: `taxi run --verbose …` shows it, and the UI"
#: What Dagster says of a run that a signal ended.
_ENDED_TO_DAGSTER = "Execution was interrupted"
_NO_FIX = "mend that, and run it again"


def job_named(name: str) -> dg.JobDefinition:
    """A job of the platform, for who makes it anew from its name."""
    from taxi_platform.definitions import defs

    return defs.resolve_job_def(name)


def main(argument: str) -> int:
    """Run it, and say what came of it.

    Returns:
        0 if every layer is made, 1 if not, 2 if its run config makes no sense, 130 if somebody ended it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return carry_out(Job.from_argument(argument))


def carry_out(order: Job) -> int:
    """Run a job in this process, and say what came of it; see `main`."""
    told = Teller(os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace"), silent=order.as_json)
    with dg.DagsterInstance.get() as instance:
        if order.afterwards:
            bury(instance)
            return _outcome(instance, order, told)
        try:
            with _apart(verbose=order.verbose), told.following(instance, {LAUNCHED: order.launch}):
                _execute(instance, order)
        except Exception as error:  # noqa: BLE001 (it is told, in words)
            return _mistaken(order, error)
        except BaseException:  # noqa: BLE001 (Dagster's own word for a signal is no exception like others)
            return _interrupted(order)
        say_if_nobody_looks(instance)
        return _outcome(instance, order, told)


def _execute(instance: dg.DagsterInstance, order: Job) -> None:
    config: Mapping[str, Any] = {}
    if order.config:
        config = yaml.safe_load(Path(order.config).read_text(encoding="utf-8"))
    months = {RANGE_START: order.month, RANGE_END: order.last} if order.last else {PARTITION: order.month}
    tags = {LAUNCHED: order.launch} | (months if order.month else {})
    job_named(order.job)  # all that this process is going to load
    leave_to_the_system()
    job = dg.build_reconstructable_job("taxi_platform.cli.month", job_named.__name__, (order.job,))
    with dg.execute_job(job, instance, run_config=config, tags=tags, raise_on_error=False):
        pass


@contextmanager
def _apart(*, verbose: bool) -> Generator[None, None, None]:
    """Keep what Dagster and the libraries say of themselves from what people and programs are told."""
    saved = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(saved[1] if verbose else nowhere, number)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in enumerate(saved, start=1):
            os.dup2(before, number)
        for it in (*saved, nowhere):
            os.close(it)


def _outcome(instance: dg.DagsterInstance, order: Job, told: Teller) -> int:
    """Say what became of the run, by what the instance has of it."""
    found = instance.get_run_records(dg.RunsFilter(tags={LAUNCHED: order.launch}), limit=1)
    if not found:
        return _mistaken(order, TaxiPlatformError("the run was never begun", about=order.subject))
    if found[0].dagster_run.status is dg.DagsterRunStatus.CANCELED:
        return _interrupted(order)
    told.look(instance, found[0].dagster_run.run_id)
    run, seconds = found[0].dagster_run, (found[0].end_time or 0.0) - (found[0].start_time or 0.0)
    what, why = failure_of(instance, run) if run.is_finished and not run.is_success else ("", "")
    if ENDED in why or _ENDED_TO_DAGSTER in why:
        return _interrupted(order)
    if what.startswith("check "):
        why = f"{order.subject}: {what} does not hold: {why}"
    if order.as_json:
        document = {"command": order.command, "subject": order.subject, "run": run.run_id, "seconds": round(seconds, 3)}
        document |= {"status": "done" if run.is_success else "failed", **told.document()}
        say.document(document | ({"error": say.error_document(why)} if what else {}))
    else:
        told.close(order.subject, seconds)
    if run.is_success:
        return say.DONE
    say.complain(say.failure_lines(why, _NO_CAUSE, _NO_FIX))
    return say.FAILED


def _mistaken(order: Job, error: Exception) -> int:
    """Say why it could not be run at all."""
    is_config = isinstance(error, dg.DagsterInvalidConfigError)
    what = str(error) if isinstance(error, TaxiPlatformError) else f"{order.subject}: {_first_words(error)}"
    if order.as_json:
        say.document(
            {"command": order.command, "subject": order.subject, "status": "failed", "error": say.error_document(what)}
        )
    cause = "the run config says what the job does not know" if is_config else "a mistake in the platform"
    say.complain(say.failure_lines(what, cause, "correct it" if is_config else "report it, with what --verbose shows"))
    return say.ASKED_WRONGLY if is_config else say.FAILED


def _first_words(error: Exception) -> str:
    lines = [it.strip() for it in str(error).splitlines() if it.strip()]
    return shown(" ".join(lines[:2]) or type(error).__name__, LONGEST_TEXT)


def _interrupted(order: Job) -> int:
    if order.as_json:
        say.document({"command": order.command, "subject": order.subject, "status": "interrupted"})
    say.complain(
        say.failure_lines(
            str(TaxiPlatformError(ENDED, about=order.subject, cause=ENDED_BY, fix="run it again")),
        )
    )
    return say.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
