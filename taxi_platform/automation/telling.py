"""Alerts on their way to people: one message each, or one for many, to every service that has not taken them yet.

What is worth an alert is decided in `alerts.py`.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Self

import dagster as dg

from taxi_platform.core.showing import LONGEST_TEXT, shown
from taxi_platform.resources import AlertsResource

Severity = Literal["info", "success", "warning", "failure"]

#: So many alerts come as a message each; more come together in one.
MOST_SINGLE = 5
#: A tick may last a minute; services that are slow or down have a third of it.
_SENDING_SECONDS = 20.0
_LONGEST_LINE = 200
_COUNTED: dict[Severity, str] = {"failure": "failures", "warning": "warnings", "success": "good news", "info": "notes"}
_TAKEN = "taxi_platform/alerts"


@dataclass(frozen=True)
class Alert:
    """Something people should know.

    Attributes:
        about: The dataset and month, or the job; the check, sensor, schedule or daemon.
        cause: What failed; "" for the good news that nothing fails any more.
        text: What to know, and where to look.
        says: What is the matter with what it is about; "" where that is a run that failed, or recovered.
        severity: How grave it is; "" for a failure, or good news where there is no cause.
    """

    about: str
    cause: str
    text: str
    says: str = ""
    severity: Severity | Literal[""] = ""

    @property
    def title(self) -> str:
        """The alert in a few words."""
        if self.says:
            return f"{self.about} {self.says}"
        return f"{self.about} failed: {self.cause}" if self.cause else f"{self.about} recovered"

    @property
    def gravity(self) -> Severity:
        """How grave it is, in Apprise's words."""
        return self.severity or ("failure" if self.cause else "success")


@dataclass
class Taken:
    """Who has taken what in the look that is under way: it outlives a sensor that is killed before its cursor is kept.

    Attributes:
        instance: Where it is kept.
        look: The number of the look.
        marks: A mark of each alert -> the places that have taken it.
    """

    instance: dg.DagsterInstance
    look: int
    marks: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    @classmethod
    def of(cls, instance: dg.DagsterInstance, look: int) -> Self:
        """What was taken in a look that has to be done again; nothing, if the last one came to its end."""
        kept = instance.daemon_cursor_storage.get_cursor_values({_TAKEN}).get(_TAKEN)
        try:
            found = json.loads(kept or "{}")
            marks = found["marks"] if found.get("look") == look else {}
        except (ValueError, TypeError, AttributeError, KeyError):
            marks = {}  # another version of the platform wrote it
        return cls(instance, look, marks)

    def by(self, place: int, alert: Alert) -> bool:
        """Whether a service has taken an alert already."""
        return place in self.marks.get(mark_of(alert.title + alert.text), [])

    def add(self, place: int, alerts: list[Alert]) -> None:
        """Remember, before anything else is done, that it has."""
        for alert in alerts:
            self.marks.setdefault(mark_of(alert.title + alert.text), []).append(place)
        kept = json.dumps({"look": self.look, "marks": self.marks})
        self.instance.daemon_cursor_storage.set_cursor_values({_TAKEN: kept})


def mark_of(text: str) -> str:
    """A few letters in place of a text, by which it is known again."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


def gathered(alerts: list[Alert], ui_url: str) -> Alert:
    """One alert in place of many: the gravest first, and of what has no room, how many they are."""
    order = list(_COUNTED)
    ranked = sorted(alerts, key=lambda it: order.index(it.gravity))
    counts = Counter(it.gravity for it in ranked)
    title = ", ".join(f"{_COUNTED[it]}: {counts[it]}" for it in order if counts[it])
    lines, room = list[str](), LONGEST_TEXT - 100
    for alert in ranked:
        first = next(iter(alert.text.splitlines()), "")
        line = shown(f"{alert.title}: {first}" if first else alert.title, _LONGEST_LINE)
        room -= len(line) + 1
        if room < 0:
            lines.append(f"and {len(ranked) - len(lines)} more")
            break
        lines.append(line)
    text = "\n".join([*lines, f"{ui_url}/runs"])
    return Alert(f"{len(alerts)} alerts", "gathered", text, f"at once ({title})", ranked[0].gravity)


def send(
    alerts: AlertsResource, queue: list[tuple[Alert, list[int]]], taken: Taken, given_up: dict[str, int]
) -> tuple[list[tuple[Alert, list[int]]], int]:
    """Send what is waiting. Whoever does not take one is left alone until later.

    Args:
        alerts: The services.
        queue: The alerts, each with the places of the services that are to get it.
        taken: What they have taken already.
        given_up: Place -> how many alerts were given up that it did not take; who hears of it is taken out.

    Returns:
        What is still waiting, and for whom; and how many messages the one who got most has got.
    """
    until, sent = time.monotonic() + _SENDING_SECONDS, Counter[int]()
    refused: list[list[int]] = [[] for _ in queue]
    plans = dict[int, Iterator[tuple[Alert, list[int]]]]()
    for place in sorted({place for _, places in queue for place in places} | {int(it) for it in given_up}):
        if place >= len(alerts.services):
            given_up.pop(str(place), None)
            continue  # it was taken out of TAXI_ALERT_URLS
        waiting = [at for at, (alert, places) in enumerate(queue) if place in places and not taken.by(place, alert)]
        for at in waiting:
            refused[at].append(place)  # until it has taken it
        plans[place] = _messages(queue, waiting, given_up.get(str(place), 0), alerts.ui_url)
    while plans and time.monotonic() <= until:
        for place, messages in list(plans.items()):  # in turn: one that is slow does not take the others' time
            message, members = next(messages, (None, []))
            if message is None or not (
                taken.by(place, message) or alerts.send(place, message.title, message.text, message.gravity)
            ):
                del plans[place]
                continue
            sent[place] += 1
            taken.add(place, [message, *(queue[at][0] for at in members)])
            for at in members:
                refused[at].remove(place)
            if not members:
                given_up.pop(str(place), None)
    left = [(alert, places) for (alert, _), places in zip(queue, refused, strict=True) if places]
    return left, max(sent.values(), default=0)


def _messages(
    queue: list[tuple[Alert, list[int]]], waiting: list[int], given_up: int, ui_url: str
) -> Iterator[tuple[Alert, list[int]]]:
    """What a service gets, each with the alerts that are in it, by their place in the queue."""
    if given_up:
        text = f"This service did not take them while more than were kept came. They are in the UI: {ui_url}/runs"
        yield Alert(f"{given_up} alerts", "given up", text, "were given up", "warning"), []
    if len(waiting) > MOST_SINGLE:
        yield gathered([queue[at][0] for at in waiting], ui_url), list(waiting)
    else:
        yield from ((queue[at][0], [at]) for at in waiting)
