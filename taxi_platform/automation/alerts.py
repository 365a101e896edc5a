"""Telling people: a month failed, a check warns, a sensor or a daemon fails, it is well again. Once, and not again.

Whether something is the matter is asked in `outcomes.py` and `troubles.py`; how it reaches people is in `telling.py`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Self

import dagster as dg

from taxi_platform.automation.history import CAUSE, Clock, clock
from taxi_platform.automation.outcomes import (
    REPLACED_BY,
    RETRIED_AFTER,
    failure_of,
    is_over,
    layers_of,
    published_anew,
    subject_of,
)
from taxi_platform.automation.telling import MOST_SINGLE, Alert, Taken, send
from taxi_platform.automation.troubles import (
    State,
    checks_of,
    daemons_of,
    judged_again_of,
    pause,
    standing_of,
    ticks_of,
)
from taxi_platform.resources import AlertsResource

#: Of one dataset, month and cause, nobody hears twice in this time.
QUIET = timedelta(hours=6)
#: Seconds by which every earlier event is in the storage as well.
SETTLED = 10.0
#: Where messages come one after the other for so long, what is new waits that long, to come in one.
GATHERING = timedelta(minutes=10)
_ENDS = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_CANCELED)
#: More than so many alerts wait for nothing, since there is no room for all that come.
_MOST_GATHERED = 50
_Keys = tuple[dg.AssetCheckKey, ...]
_RUNS_PER_TICK, _KEPT, _LONGEST_TEXT = 50, 200, 500


@dataclass
class Memory:
    """What is remembered between two looks at the runs.

    Attributes:
        since: The newest event that was looked at, as the storage counts them.
        told: About and cause -> when it was told last.
        failing: About -> the assets that are to be made before it has recovered, where people know of a failure; of
            a check, a tick or a daemon, the causes people know of.
        hushed: About -> a failure, and its assets, that came in the quiet period after people had heard all is well.
        undelivered: What some services have not taken yet, each with the places of those in `TAXI_ALERT_URLS`.
        given_up: Place -> how many alerts were dropped that it did not take, until it has heard of that.
        sent: When the last messages were sent.
        looks: How many looks there were.
        looked: When the last one was.
        answered: The newest answer of a check that is judged again, as the storage counts them; None before the first
            look at them.
    """

    since: int
    told: dict[str, float] = field(default_factory=dict[str, float])
    failing: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    hushed: dict[str, tuple[dict[str, Any], list[str]]] = field(default_factory=dict[str, Any])
    undelivered: list[tuple[dict[str, Any], list[int]]] = field(default_factory=list[Any])
    given_up: dict[str, int] = field(default_factory=dict[str, int])
    sent: list[float] = field(default_factory=list[float])
    looks: int = 0
    looked: float = 0.0
    answered: int | None = None

    @classmethod
    def from_cursor(cls, cursor: str | None, instance: dg.DagsterInstance) -> Self:
        """Read what `to_cursor` wrote; who begins, begins with what happens from now on."""
        try:
            if cursor:
                return cls(**json.loads(cursor))
        except (ValueError, TypeError):
            pass  # another version of the platform wrote it
        newest = [instance.fetch_run_status_changes(kind, limit=1).records for kind in _ENDS]
        return cls(since=max((it.storage_id for records in newest for it in records), default=0))

    def to_cursor(self) -> str:
        """The text a sensor keeps."""
        return json.dumps(asdict(self))

    def failed(
        self, alert: Alert, made: set[str], unmade: set[str], now: float, *, by_itself: bool = False
    ) -> list[Alert]:
        """Remember a failure; it is news if nobody was told of it in the quiet period.

        Nor is it, however long that was ago, where the platform asked `by_itself` once more for what has not recovered.
        """
        key, known = f"{alert.about}: {alert.cause}", alert.about in self.failing
        is_news = now - self.told.get(key, 0.0) >= QUIET.total_seconds() and not (
            by_itself and known and key in self.told
        )
        if is_news or known:
            self.hushed.pop(alert.about, None)
            self.failing[alert.about] = sorted({*self.failing.get(alert.about, [])} - made | unmade)
        else:
            self.hushed[alert.about] = (asdict(alert), sorted(unmade))
        if is_news:
            self.told[key] = now
        return [alert] if is_news else []

    def succeeded(self, about: str, made: set[str], text: str) -> list[Alert]:
        """Remember a success; it is news if it made the last that was missing of what people know to have failed."""
        self.hushed.pop(about, None)
        if about not in self.failing:
            return []
        self.failing[about] = [it for it in self.failing[about] if it not in made]
        if self.failing[about]:
            return []
        del self.failing[about]
        return [Alert(about, "", text)]

    def stands(self, state: State, now: float) -> list[Alert]:
        """Remember how something is; it is news once per cause until it is well, and when it is well again."""
        alert, known = state.alert, self.failing.get(state.about, [])
        if not alert.cause:
            return [alert for _ in self.succeeded(state.about, {*known}, state.text)]
        return [] if alert.cause in known else self.failed(alert, set(), {alert.cause}, now)

    def has_to_wait(self, news: int, now: float) -> bool:
        """Whether so much was told of late that what is new is to come in one message, a little later."""
        self.sent = [at for at in self.sent if now - at < GATHERING.total_seconds()]
        return len(self.sent) >= MOST_SINGLE and news <= _MOST_GATHERED

    def keep(self, left: list[tuple[Alert, list[int]]]) -> list[Alert]:
        """Keep what is waiting; gives the oldest, which there is no room for, and counts them for whom they were."""
        self.undelivered = [(asdict(it), places) for it, places in left[-_KEPT:]]
        for _, places in left[:-_KEPT]:
            for place in map(str, places):
                self.given_up[place] = self.given_up.get(place, 0) + 1
        return [it for it, _ in left[:-_KEPT]]

    def overdue(self, now: float) -> list[Alert]:
        """What went unsaid in a quiet period that is over now, and has not recovered since."""
        self.told = {
            key: at
            for key, at in self.told.items()
            if now - at < QUIET.total_seconds() or key.partition(": ")[0] in self.failing
        }
        hushed = list(self.hushed.values())
        return [it for alert, unmade in hushed for it in self.failed(Alert(**alert), set(), {*unmade}, now)]


def build_alert_sensor(
    status: dg.DefaultSensorStatus,
    checks: Iterable[dg.AssetCheckKey] = (),
    now: Clock = clock,
    again: Iterable[dg.AssetCheckKey] = (),
) -> dg.SensorDefinition:
    """The sensor that tells people of runs that failed, of what else is the matter, and of what is well again.

    Args:
        status: Whether it is on until somebody says otherwise.
        checks: Those that are about no run; how they stand is looked at each time.
        now: The clock.
        again: Those that are judged once more, outside of a run, when other months are here.
    """
    standing, relative = tuple(checks), tuple(again)

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=30,
        default_status=status,
        description="Tells the services of TAXI_ALERT_URLS of runs, ticks and daemons that fail, of checks that warn, "
        "and of what is well again.",
    )
    def alerts(context: dg.SensorEvaluationContext, alerts: AlertsResource) -> dg.SensorResult:
        everybody, at = [*range(len(alerts.services))], now().timestamp()
        memory = Memory.from_cursor(context.cursor if everybody else None, context.instance)
        if not everybody:
            return dg.SensorResult(skip_reason="nobody to tell: TAXI_ALERT_URLS is empty", cursor=memory.to_cursor())
        news = _news(context.instance, alerts.ui_url, memory, at, (standing, relative))
        queue = [*((Alert(**it), places) for it, places in memory.undelivered), *((it, everybody) for it in news)]
        if memory.has_to_wait(len(queue), at):
            memory.keep(queue)
            waiting = "; ".join(it.title for it, _ in queue)
            told = f"much was told of late, the next message is for all that waits: {waiting}" if queue else ""
        else:
            left, messages = send(alerts, queue, Taken.of(context.instance, memory.looks), memory.given_up)
            memory.sent += [at] * messages
            told = _told(context, queue, left, memory.keep(left))
        return dg.SensorResult(skip_reason=told or "nothing to tell", cursor=memory.to_cursor())

    return alerts


def _told(
    context: dg.SensorEvaluationContext,
    queue: list[tuple[Alert, list[int]]],
    left: list[tuple[Alert, list[int]]],
    dropped: list[Alert],
) -> str:
    """What the page of the sensor says of a look: what was told, and what waits; who has not taken it is in the log."""
    for place in sorted({place for _, places in left for place in places}):
        waiting = sum(place in places for _, places in left)
        context.log.error(
            f"service {place + 1} of TAXI_ALERT_URLS has not taken {waiting} alerts; they are sent again. "
            f"What it says: .venv/bin/apprise -vv -b test '<its URL>'"
        )
    if dropped:
        titles = "; ".join(it.title for it in dropped)
        context.log.error(f"given up, too many are waiting ({len(dropped)} of them): {titles}")
    waits = [it for it, _ in left]
    lists = {"told": [it.title for it, _ in queue if it not in waits], "waiting": [it.title for it in waits]}
    return ". ".join(f"{name}: {'; '.join(titles)}" for name, titles in lists.items() if titles)


def _news(
    instance: dg.DagsterInstance, ui_url: str, memory: Memory, now: float, checks: tuple[_Keys, _Keys]
) -> list[Alert]:
    """What there is to tell since the last look, and of how things are now."""
    news = memory.overdue(now)
    paused = pause(instance, ui_url, memory.looked, now)
    for run in _ended_runs(instance, memory, now):
        news += _news_of(instance, run, ui_url, memory, now)
        for state in checks_of(instance, run, f"{ui_url}/runs/{run.run_id}"):
            news += memory.stands(state, now)
    standing, relative = checks
    memory.answered, states = judged_again_of(instance, relative, ui_url, memory.answered)
    for state in states:
        news += memory.stands(state, now)
    # Who was down a moment ago has not had the time to beat.
    daemons = () if paused or not memory.looked else daemons_of(instance, ui_url, now)
    for state in (*ticks_of(instance, ui_url), *standing_of(instance, standing, ui_url), *daemons):
        news += memory.stands(state, now)
    memory.looked, memory.looks = now, memory.looks + 1
    return [paused, *news] if paused else news


def _ended_runs(instance: dg.DagsterInstance, memory: Memory, now: float) -> Iterator[dg.DagsterRun]:
    """The runs that ended since the last look, in the order they did, each once.

    Not by the time a run was changed last: a tag somebody adds changes it, and clocks differ.
    """
    after = [dg.RunStatusChangeRecordsFilter(kind, after_storage_id=memory.since) for kind in _ENDS]
    found = [instance.fetch_run_status_changes(it, limit=_RUNS_PER_TICK, ascending=True).records for it in after]
    ended = sorted((it for records in found for it in records), key=lambda it: it.storage_id)
    for record in ended[:_RUNS_PER_TICK]:
        run, age = instance.get_run_by_id(record.run_id), now - record.timestamp
        if age < SETTLED or (age < RETRIED_AFTER and run is not None and not is_over(instance, run, age)):
            return  # it has its turn at a later look, and those after it too
        memory.since = record.storage_id
        if run is not None:
            yield run


def _news_of(instance: dg.DagsterInstance, run: dg.DagsterRun, ui_url: str, memory: Memory, now: float) -> list[Alert]:
    about, link = subject_of(run), f"{ui_url}/runs/{run.run_id}"
    if run.status == dg.DagsterRunStatus.SUCCESS:
        made, _ = layers_of(instance, run) if about in memory.failing else (set[str](), None)
        anew = published_anew(instance, run)
        told = [Alert(about, "", f"{anew}\n{link}", "was published anew", "info")] if anew else []
        return [*told, *memory.succeeded(about, made, f"{run.job_name} succeeded.\n{link}")]
    if run.status != dg.DagsterRunStatus.FAILURE or REPLACED_BY in run.tags:
        return []  # the run that came in its place will tell
    cause, why = failure_of(instance, run)
    alert, by_itself = Alert(about, cause, f"{why[:_LONGEST_TEXT]}\n{link}"), CAUSE in run.tags
    return memory.failed(alert, *layers_of(instance, run), now, by_itself=by_itself)
