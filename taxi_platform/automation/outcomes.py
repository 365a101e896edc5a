"""What became of a run, in the terms of the platform: what it was about, what it made, and why it failed."""

import dagster as dg

from taxi_platform.automation.runs import PARTITION
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.io_managers.records import DIFFERENCE

#: The tag of the dataset a run is about.
DATASET = "taxi/dataset"
#: The tag of a run that another one came in the place of.
REPLACED_BY = "dagster/auto_retry_run_id"
#: Seconds in which Dagster runs a failed run again, if it does.
RETRIED_AFTER = 120.0


def subject_of(run: dg.DagsterRun) -> str:
    """What a run is about, to people: the dataset and month; the job, where it is about neither."""
    keys = {*(run.asset_selection or ()), *(it.asset_key for it in run.asset_check_selection or ())}
    datasets = ", ".join(sorted({key.path[-1].removesuffix("_trips") for key in keys}))
    what = run.tags.get(DATASET) or datasets or run.job_name
    return f"{what} {run.tags.get(PARTITION, '')}".rstrip()


def is_over(instance: dg.DagsterInstance, run: dg.DagsterRun, seconds: float) -> bool:
    """Whether nothing more will become of a run that ended some seconds ago.

    One that failed may be run again: Dagster says so a little later, and does it a little later still, if at all.
    """
    if run.status == dg.DagsterRunStatus.FAILURE and instance.run_retries_enabled and seconds < RETRIED_AFTER:
        return run.tags.get("dagster/will_retry") == "false" or REPLACED_BY in run.tags
    return run.is_finished


def layers_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[set[str], set[str]]:
    """The assets a run made, and those it was to make and did not; what a blocking check turned down is not made."""
    planned, made, turned_down = set[str](), set[str](), set[str]()
    for kind, assets in (
        (dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, planned),
        (dg.DagsterEventType.ASSET_MATERIALIZATION, made),
    ):
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=kind)]
        assets.update(it.asset_key.to_user_string() for it in events if it and it.asset_key)
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = entry.dagster_event.asset_check_evaluation_data if entry.dagster_event else None
        if check and turns_down(check):
            turned_down.add(check.asset_key.to_user_string())
    return made - turned_down, planned - made | turned_down


def failure_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[str, str]:
    """What failed first in a run (a check, a step, the run itself), and the first line of why."""
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = entry.dagster_event.asset_check_evaluation_data if entry.dagster_event else None
        if check and turns_down(check):
            return f"check {check.check_name}", first_line(check.description, f"on {check.asset_key.to_user_string()}")
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is not None:
            failure = event.step_failure_data
            described = failure.user_failure_data.description if failure.user_failure_data else None
            error = failure.error and (failure.error.cause or failure.error).message
            return f"step {event.step_key}", first_line(described or error, "no reason given")
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
        event = entry.dagster_event
        error = event.job_failure_data.error if event and event.event_specific_data else None
        is_ours = error is not None and error.cls_name == TaxiPlatformError.__name__
        told = error.message.partition(": ")[2] if error and is_ours else event and event.message
        return "the run itself", first_line(told, "no reason given")
    return "the run itself", "it ended without a word"


def published_anew(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What is another in the month that a run has replaced, as it was published anew; "" where it was not."""
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        made = entry.asset_materialization
        if made is not None and made.asset_key.path[0] == "cleaned" and DIFFERENCE in made.metadata:
            return str(made.metadata[DIFFERENCE].value)
    return ""


def turns_down(check: dg.AssetCheckEvaluation) -> bool:
    """Whether a check ends the run it is in."""
    return bool(check.blocking) and not check.passed and check.severity == dg.AssetCheckSeverity.ERROR


def first_line(text: str | None, otherwise: str) -> str:
    """The first line of what a program says, or something else if it says nothing."""
    return next(iter((text or "").strip().splitlines()), otherwise)
