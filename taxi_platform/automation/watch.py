"""Which months to ask a source about, and what its answers mean: decisions without Dagster, network or clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import Literal, Self

from pydantic import TypeAdapter

from taxi_platform.automation.freshness import Statement
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.source import Publication

#: TLC has published a month 48 to 106 days after its end (92 files measured; TLC itself says "two months").
EARLIEST_LAG, LATEST_LAG = timedelta(days=40), timedelta(days=106)
#: So many of the newest months may be on their way at any time: TLC does not always publish them in order.
_ON_THEIR_WAY = 3
#: A month that was passed over is asked for until so many later ones are here; after a year it is not coming.
_HOLES = 12
#: How many months one look at the source asks for: new ones, and known ones that may have been republished.
NEW_PER_TICK, KNOWN_PER_TICK = 4, 3
#: And so many of those that did not agree when they were looked at last.
UNSETTLED_PER_TICK = 4
#: After a refusal the source is left alone for this long, and twice as long after each further one.
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=15).total_seconds(), timedelta(hours=24).total_seconds()
#: More doublings than it takes to get from the one to the other would only grow into numbers no clock has.
_DOUBLINGS = 7

#: Why a month is looked at.
Turn = Literal["new", "unsettled", "known"]


@dataclass(frozen=True)
class Watch:
    """What is remembered between two looks at a source.

    Attributes:
        requested: Month -> version that the source announced, of what did not agree at the last look: the month is
            looked at again before others. Whether a run is asked for goes by the runs there were, not by this.
        seen: Month -> version that the source announced first, of what is here without a record of what was published
            then: once it announces another one, the month differs.
        walked: The known month that was looked at last.
        asked: The new month that was asked for last.
        retried: The month that did not agree and was looked at last.
        judged: What was said last of whether the newest month is here; it is said again once it is another.
        refusals: How often in a row the source has refused to answer.
        quiet_until: Until when it is left alone, in seconds since 1970.
    """

    requested: Mapping[str, str] = field(default_factory=dict[str, str])
    walked: str = ""
    asked: str = ""
    refusals: int = 0
    quiet_until: float = 0.0
    seen: Mapping[str, str] = field(default_factory=dict[str, str])
    retried: str = ""
    judged: str = ""

    @classmethod
    def from_cursor(cls, cursor: str | None) -> Self:
        """Read what `to_cursor` wrote; one that cannot be read is as good as none."""
        try:
            found = TypeAdapter(cls).validate_json(cursor or "{}")
            _ = found.months
        except (ValueError, TaxiPlatformError):
            return cls()
        return found

    def to_cursor(self) -> str:
        """The text a sensor keeps."""
        return json.dumps(asdict(self))

    @property
    def months(self) -> set[Month]:
        """The months that did not agree at the last look."""
        return {Month.parse(key) for key in self.requested}

    def is_quiet(self, now: float) -> bool:
        """Whether the source is to be left alone. An end further off than any pause was noted by a clock gone wrong."""
        return now < self.quiet_until <= now + _LONGEST_PAUSE

    def after_refusal(self, now: float, asked_to_wait: float | None = None) -> Self:
        """The source throttles, or cannot be reached: leave it alone, longer each time, for a day at most."""
        pause = max(_FIRST_PAUSE * 2 ** min(self.refusals, _DOUBLINGS), asked_to_wait or 0.0)
        return replace(self, refusals=self.refusals + 1, quiet_until=now + min(pause, _LONGEST_PAUSE))

    def having_looked_at(self, month: Month, turn: Turn) -> Self:
        """It was this month's turn."""
        match turn:
            case "new":
                return replace(self, asked=str(month))
            case "unsettled":
                return replace(self, retried=str(month))
            case "known":
                return replace(self, walked=str(month))

    def after_answers(self) -> Self:
        """The source has answered whatever it was asked."""
        return replace(self, refusals=0, quiet_until=0.0)

    def having_found(self, month: Month, found: Publication, statement: Statement) -> tuple[Self, bool]:
        """What is published of a month is known.

        Args:
            month: The month.
            found: What is published now.
            statement: What is where of it.

        Returns:
            What to remember of it, and whether what is published is not in the lake.
        """
        key, others, seen = str(month), {**self.requested}, {**self.seen}
        asked = others.pop(key, None)
        is_other = is_changed(statement.published, found) if statement.published else True
        if is_other is None:
            seen.setdefault(key, asked or found.version)
            is_other = seen[key] != found.version
        else:
            seen.pop(key, None)
        differs = is_other or statement.lake_is_behind
        return replace(self, requested={**others, key: found.version} if differs else others, seen=seen), differs

    def having_gone(self, month: Month) -> Self:
        """Nothing is published of this month, any more: there is nothing that the lake could lack."""
        return replace(self, requested={key: it for key, it in self.requested.items() if key != str(month)})


def is_changed(before: Publication, now: Publication) -> bool | None:
    """Whether a source announces another file than before; None where the two say nothing that can be compared."""
    if before.etag and now.etag:
        return before.etag != now.etag
    told = [(before.bytes, now.bytes), (before.last_modified, now.last_modified)]
    both = [(was, is_) for was, is_ in told if was is not None and is_ is not None]
    return any(was != is_ for was, is_ in both) if both else None


def publishable(first: Month, today: date, lag: timedelta = EARLIEST_LAG) -> Month | None:
    """The newest month that may be published by now; None where not even the first can be."""
    day = today - lag
    month = Month(day.year, day.month).previous
    return month if month >= first else None


def new_months(first: Month, today: date, known: Iterable[Month], watch: Watch) -> list[Month]:
    """The months to ask for next that are neither here nor requested.

    They are those since the newest known one, those TLC may be about to publish, and the holes between known ones. What
    lies before them is history, which is a backfill's business.

    Args:
        first: The dataset's first month.
        today: The date in New York.
        known: The months that are materialized, or about to be.
        watch: What is remembered.
    """
    last = publishable(first, today)
    if last is None:
        return []
    known = set(known) | watch.months
    since = last.minus(_ON_THEIR_WAY - 1)
    if known:
        since = max(min(since, *known), max(known).minus(_HOLES))
    return _in_turn([it for it in max(first, since).until(last) if it not in known], watch.asked, NEW_PER_TICK)


def known_months(known: Iterable[Month], watch: Watch) -> list[Month]:
    """The months to compare with what is published now; all of them have their turn."""
    return _in_turn(sorted(known), watch.walked, KNOWN_PER_TICK)


def unsettled_months(watch: Watch, busy: Iterable[Month] = ()) -> list[Month]:
    """The months to look at again because they did not agree, unless runs are at work; all of them have their turn."""
    return _in_turn(sorted(watch.months - {*busy}), watch.retried, UNSETTLED_PER_TICK)


def due(first: Month, today: date) -> Month | None:
    """The newest month that should be here by now, even at TLC's slowest; None where there is none yet."""
    return publishable(first, today, LATEST_LAG)


def lateness(first: Month, today: date, here: Iterable[Month]) -> tuple[bool, str]:
    """Whether a dataset's newest month is late, and that in words. Old months that came lately change nothing of it.

    Args:
        first: The dataset's first month.
        today: The date in New York.
        here: The months that were fetched.
    """
    last, newest = due(first, today), max(here, default=None)
    if newest is None:
        return False, "not judged: no month was fetched yet"
    if last is None or newest >= last:
        return False, f"the newest month is {newest}"
    return True, (
        f"the newest month is {newest}; {last} should be here: it ended on {last.next.first_day - timedelta(days=1)}, "
        f"and TLC has never taken longer than {LATEST_LAG.days} days to publish a month"
    )


def overdue(
    first: Month, today: date, known: Iterable[Month], is_loaded: Callable[[Month], bool] = lambda _: True
) -> list[Month]:
    """The months that should be in the table by now, even at TLC's slowest, and are not.

    They are those since the newest that was ever loaded, and what failed, was passed over or is stale in the year
    before it.

    Args:
        first: The dataset's first month.
        today: The date in New York.
        known: The months that were ever loaded, into whatever store.
        is_loaded: Whether the table holds what it should of such a month.
    """
    last, known = due(first, today), set(known)
    if last is None:
        return []
    since = max(min(known), max(known).minus(_HOLES)) if known else last
    return [it for it in since.until(last) if it >= first and not (it in known and is_loaded(it))]


def _in_turn(months: list[Month], last: str, count: int) -> list[Month]:
    """The next few after the last one, and from the beginning again."""
    after = [it for it in months if str(it) > last]
    return (after + [it for it in months if str(it) <= last])[:count]
