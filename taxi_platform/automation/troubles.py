"""What may be the matter though no run failed: a check that warns, a late dataset, a failing tick, a silent daemon.

Each is asked as it stands now; whether people know of it already is `alerts.py`'s business.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from taxi_platform.automation.outcomes import first_line, turns_down
from taxi_platform.automation.runs import PARTITION
from taxi_platform.automation.telling import Alert, Severity, mark_of
from taxi_platform.core.showing import shown
from taxi_platform.judged_again import answers_of, evaluations_of, is_judged, is_last

#: A daemon that has not beaten for so long is down, as in Dagster's own page of them: some do much between two beats.
SILENT = timedelta(minutes=30)
#: What a check's metadata calls the month it is about, where its sentence changes though the matter is the same.
MONTH_DUE = "month due"
_LONGEST_TEXT = 500
_TICKS = 5


@dataclass(frozen=True)
class State:
    """How something is.

    Attributes:
        about: What it is.
        says: What there is to say of it: "warns", "holds again".
        cause: What is the matter, the same for the same; "" if nothing is.
        text: What to know, and where to look.
        severity: How grave that is.
    """

    about: str
    says: str
    cause: str
    text: str
    severity: Severity

    @property
    def alert(self) -> Alert:
        """It, to people; the cause is a mark, since it is remembered for long."""
        return Alert(self.about, self.cause and mark_of(self.cause), self.text, self.says, self.severity)


def checks_of(instance: dg.DagsterInstance, run: dg.DagsterRun, link: str) -> Iterator[State]:
    """How the checks of a run came out that do not end it.

    One that could not judge says nothing, good or bad; nor do those of a file that another one has turned down, which
    people hear of as a failure; nor one that was judged again since.
    """
    checks = evaluations_of(instance, run.run_id)
    turned_down = {it.asset_key for it in checks if turns_down(it)}
    for check in checks:
        if check.asset_key not in turned_down and is_last(instance, check, run.run_id):
            yield from _judged(check, check.partition or run.tags.get(PARTITION, ""), link)


def standing_of(instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey], ui_url: str) -> Iterator[State]:
    """How checks stand that are about no run: of one that nobody has judged yet, or is judging now, nothing is known.

    Args:
        instance: Whose records.
        checks: Those that sensors report by themselves, as whether a dataset is late.
        ui_url: Where the UI is.
    """
    for key in checks:
        record = instance.get_latest_asset_check_evaluation_record(key)
        event = record.event.dagster_event if record and record.event else None
        if event and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            yield from _judged(event.asset_check_evaluation_data, "", f"{ui_url}/assets/{'/'.join(key.asset_key.path)}")


def judged_again_of(
    instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey], ui_url: str, after: int | None
) -> tuple[int, list[State]]:
    """How checks came out that were judged once more, outside of the run that had judged them.

    Args:
        instance: Whose records.
        checks: Those that are judged again.
        ui_url: Where the UI is.
        after: The newest answer that was looked at; None for whoever begins, with what is answered from now on.

    Returns:
        The newest answer there is, and each month's newest of those that are new, oldest first.
    """
    if after is None:
        newest = (next(answers_of(instance, key), None) for key in checks)
        return max((it.number for it in newest if it), default=0), []
    found = [it for key in checks for it in answers_of(instance, key, after)]
    last = {(it.check.check_name, it.check.asset_key, it.check.partition): it for it in reversed(found)}
    again = sorted((it for it in last.values() if not it.run), key=lambda it: it.number)
    links = {it.number: f"{ui_url}/assets/{'/'.join(it.check.asset_key.path)}" for it in again}
    states = [state for it in again for state in _judged(it.check, it.check.partition or "", links[it.number])]
    return max((it.number for it in found), default=after), states


def _judged(check: dg.AssetCheckEvaluation, month: str, link: str) -> Iterator[State]:
    """How a check came out; nothing, where it could not judge."""
    if not is_judged(check):
        return
    due = check.metadata.get(MONTH_DUE)
    dataset = check.asset_key.path[-1].removesuffix("_trips")
    about = f"{dataset} {month}".rstrip() + f": {check.asset_key.path[0]}/{check.check_name}"
    why = first_line(check.description, "no reason given")
    text = f"{shown(why, _LONGEST_TEXT)}\n{link}"
    if check.passed:
        yield State(about, "holds again", "", text, "success")
    else:
        is_grave = check.severity == dg.AssetCheckSeverity.ERROR
        cause = str(due.value) if due else why
        yield State(about, "does not hold", cause, text, "failure" if is_grave else "warning")


def ticks_of(instance: dg.DagsterInstance, ui_url: str) -> Iterator[State]:
    """How the last tick of every sensor and schedule ended; one that is off, or has yet to tick, is well."""
    newest = dict[str, tuple[float, State]]()
    if instance.schedule_storage is None:  # an instance of a test, or of one command: nothing ticks there
        return
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=_TICKS)
        ended = next((it for it in ticks if it.status.value in ("SUCCESS", "SKIPPED", "FAILURE")), None)
        if ended is None:
            continue
        about, link = f"{state.instigator_type.value.lower()} {state.instigator_name}", f"{ui_url}/automation"
        if not state.is_running:
            found = State(about, "is off", "", f"It failed, and was switched off.\n{link}", "info")
        elif ended.status.value != "FAILURE":
            found = State(about, "works again", "", f"Its last tick passed.\n{link}", "success")
        else:
            error = ended.error and (ended.error.cause or ended.error)
            why = first_line(error and error.message, "no reason given")
            text = f"{shown(why, _LONGEST_TEXT)}\n{_time(ended.timestamp)}, {link}"
            # Times, ports and addresses differ from tick to tick.
            found = State(about, "fails", re.sub(r"0x[0-9a-f]+|\d+", "#", why), text, "failure")
        # Under one name, an installation that was moved has left what it was before.
        if about not in newest or ended.timestamp > newest[about][0]:
            newest[about] = ended.timestamp, found
    yield from (found for _, found in newest.values())


def daemons_of(instance: dg.DagsterInstance, ui_url: str, now: float) -> Iterator[State]:
    """How the daemons are that this instance needs; of one that has never beaten nothing is known."""
    beats, link = instance.get_daemon_heartbeats(), f"{ui_url}/deployment/daemons"
    for kind in instance.get_required_daemon_types():
        beat, about = beats.get(kind), f"daemon {kind}"
        if beat is None:
            continue
        if now - beat.timestamp > SILENT.total_seconds():
            text = f"It was heard of last at {_time(beat.timestamp)}. Start it again: dagster-daemon run\n{link}"
            yield State(about, "is down", "down", text, "failure")
        elif beat.errors:
            why = first_line(beat.errors[0].message, "no reason given")
            cause = re.sub(r"0x[0-9a-f]+|\d+", "#", why)
            yield State(about, "has errors", cause, f"{shown(why, _LONGEST_TEXT)}\n{link}", "warning")
        else:
            yield State(about, "works again", "", f"It beats again.\n{link}", "success")


def silence(instance: dg.DagsterInstance, now: float) -> str:
    """What a process that is up says where no daemon is: it is down, since when, and what is not done; "" otherwise.

    The daemon cannot tell of it, and nobody looks at an instance that never had one.
    """
    newest = max((it.timestamp for it in instance.get_daemon_heartbeats().values()), default=None)
    if newest is None or now - newest <= SILENT.total_seconds():
        return ""
    return (
        f"no daemon was heard of since {_time(newest)}: nothing queued is run, no sensor looks, and nobody is told. "
        f"Start it again: make dev, or dagster-daemon run"
    )


def pause(instance: dg.DagsterInstance, ui_url: str, looked: float, now: float) -> Alert | None:
    """That nobody looked for a while: the daemon that looks cannot tell that it is down, but that it was."""
    if not looked or now - looked <= SILENT.total_seconds() or not instance.get_daemon_heartbeats():
        return None
    text = (
        f"From {_time(looked)} to {_time(now)} nobody looked: the daemon was down, or the sensor alerts off. "
        f"What happened meanwhile is told now.\n{ui_url}/deployment/daemons"
    )
    return Alert("daemon", "pause", text, "was down, and is back", "info")


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
