"""Telling people: a month failed, a check that blocks it failed, it recovered. Once, and not again for a while."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Self

import dagster as dg

from taxi_platform.automation.history import CAUSE, Clock, clock
from taxi_platform.automation.outcomes import REPLACED_BY, RETRIED_AFTER, failure_of, is_over, layers_of, subject_of
from taxi_platform.resources import AlertsResource

#: Of one dataset, month and cause, nobody hears twice in this time.
QUIET = timedelta(hours=6)
#: Seconds by which every earlier event is in the storage as well.
SETTLED = 10.0
_ENDS = (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS)
#: A tick may last a minute; services that are slow or down have a third of it.
_SENDING_SECONDS = 20.0
_RUNS_PER_TICK, _KEPT, _LONGEST_TEXT = 50, 200, 500


@dataclass(frozen=True)
class Alert:
    """Something people should know.

    Attributes:
        about: The dataset and month, or the job.
        cause: What failed; "" for the good news that nothing fails any more.
        text: What to know, and where to look.
    """

    about: str
    cause: str
    text: str

    @property
    def title(self) -> str:
        """The alert in a few words."""
        return f"{self.about} failed: {self.cause}" if self.cause else f"{self.about} recovered"


@dataclass
class Memory:
    """What is remembered between two looks at the runs.

    Attributes:
        since: The newest event that was looked at, as the storage counts them.
        told: About and cause -> when it was told last.
        failing: About -> the assets that are to be made before it has recovered, where people know of a failure.
        hushed: About -> a failure, and its assets, that came in the quiet period after people had heard all is well.
        undelivered: What some services have not taken yet, each with the places of those in `TAXI_ALERT_URLS`.
    """

    since: int
    told: dict[str, float] = field(default_factory=dict[str, float])
    failing: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    hushed: dict[str, tuple[dict[str, str], list[str]]] = field(default_factory=dict[str, Any])
    undelivered: list[tuple[dict[str, str], list[int]]] = field(default_factory=list[Any])

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

    def overdue(self, now: float) -> list[Alert]:
        """What went unsaid in a quiet period that is over now, and has not recovered since."""
        self.told = {
            key: at
            for key, at in self.told.items()
            if now - at < QUIET.total_seconds() or key.partition(": ")[0] in self.failing
        }
        hushed = list(self.hushed.values())
        return [it for alert, unmade in hushed for it in self.failed(Alert(**alert), set(), {*unmade}, now)]


def build_alert_sensor(status: dg.DefaultSensorStatus, now: Clock = clock) -> dg.SensorDefinition:
    """The sensor that tells people of runs that failed, and of months that recovered.

    Args:
        status: Whether it is on until somebody says otherwise.
        now: The clock.
    """

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=30,
        default_status=status,
        description="Tells the services of TAXI_ALERT_URLS of runs that failed, and of months that recovered.",
    )
    def alerts(context: dg.SensorEvaluationContext, alerts: AlertsResource) -> dg.SensorResult:
        everybody, at = [*range(len(alerts.services))], now().timestamp()
        memory = Memory.from_cursor(context.cursor if everybody else None, context.instance)
        if not everybody:
            return dg.SensorResult(skip_reason="nobody to tell: TAXI_ALERT_URLS is empty", cursor=memory.to_cursor())
        news = memory.overdue(at)
        for run in _ended_runs(context.instance, memory, at):
            news += _news_of(context.instance, run, alerts.ui_url, memory, at)
        queue = [*((Alert(**it), places) for it, places in memory.undelivered), *((it, everybody) for it in news)]
        left = _send(alerts, queue)
        memory.undelivered = [(asdict(it), places) for it, places in left[-_KEPT:]]
        for place in sorted({place for _, places in left for place in places}):
            waiting = sum(place in places for _, places in left)
            context.log.error(
                f"service {place + 1} of TAXI_ALERT_URLS has not taken {waiting} alerts; they are sent again. "
                f"What it says: .venv/bin/apprise -vv -b test '<its URL>'"
            )
        if len(left) > _KEPT:
            context.log.error(f"given up, too many are waiting: {'; '.join(it.title for it, _ in left[:-_KEPT])}")
        waiting = [it for it, _ in left]
        lists = {"told": [it.title for it, _ in queue if it not in waiting], "waiting": [it.title for it in waiting]}
        told = ". ".join(f"{name}: {'; '.join(titles)}" for name, titles in lists.items() if titles)
        return dg.SensorResult(skip_reason=told or "nothing to tell", cursor=memory.to_cursor())

    return alerts


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
        return memory.succeeded(about, made, f"{run.job_name} succeeded.\n{link}")
    if run.status != dg.DagsterRunStatus.FAILURE or REPLACED_BY in run.tags:
        return []  # the run that came in its place will tell
    cause, why = failure_of(instance, run)
    alert, by_itself = Alert(about, cause, f"{why[:_LONGEST_TEXT]}\n{link}"), CAUSE in run.tags
    return memory.failed(alert, *layers_of(instance, run), now, by_itself=by_itself)


def _send(alerts: AlertsResource, queue: list[tuple[Alert, list[int]]]) -> list[tuple[Alert, list[int]]]:
    """Send what is waiting; gives what still is, and for whom. Whoever does not take one is left alone until later."""
    until, down = time.monotonic() + _SENDING_SECONDS, set[int]()
    left: list[tuple[Alert, list[int]]] = []
    for alert, places in queue:
        refused: list[int] = []
        for place in places:
            if place in down or time.monotonic() > until:
                refused.append(place)
            elif place < len(alerts.services) and not alerts.send(
                place, alert.title, alert.text, is_good=not alert.cause
            ):
                down.add(place)
                refused.append(place)
        if refused:
            left.append((alert, refused))
    return left
