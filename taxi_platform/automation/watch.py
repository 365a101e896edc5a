"""Which months to ask a source about, and what its answers mean: decisions without Dagster, network or clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import Self

from pydantic import TypeAdapter

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
#: After a refusal the source is left alone for this long, and twice as long after each further one.
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=15).total_seconds(), timedelta(hours=24).total_seconds()
#: More doublings than it takes to get from the one to the other would only grow into numbers no clock has.
_DOUBLINGS = 7


@dataclass(frozen=True)
class Watch:
    """What is remembered between two looks at a source.

    Attributes:
        requested: Month -> version, of what runs were requested for and is not here: it is not requested again. Also
            of what is here without a record of what was published then: it is requested once it changes.
        walked: The known month that was looked at last.
        asked: The new month that was asked for last.
        refusals: How often in a row the source has refused to answer.
        quiet_until: Until when it is left alone, in seconds since 1970.
    """

    requested: Mapping[str, str] = field(default_factory=dict[str, str])
    walked: str = ""
    asked: str = ""
    refusals: int = 0
    quiet_until: float = 0.0

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
        """The months runs were requested for."""
        return {Month.parse(key) for key in self.requested}

    def is_quiet(self, now: float) -> bool:
        """Whether the source is to be left alone. An end further off than any pause was noted by a clock gone wrong."""
        return now < self.quiet_until <= now + _LONGEST_PAUSE

    def after_refusal(self, now: float, asked_to_wait: float | None = None) -> Self:
        """The source throttles, or cannot be reached: leave it alone, longer each time, for a day at most."""
        pause = max(_FIRST_PAUSE * 2 ** min(self.refusals, _DOUBLINGS), asked_to_wait or 0.0)
        return replace(self, refusals=self.refusals + 1, quiet_until=now + min(pause, _LONGEST_PAUSE))

    def having_looked_at(self, month: Month, *, is_new: bool) -> Self:
        """It was this month's turn."""
        return replace(self, asked=str(month)) if is_new else replace(self, walked=str(month))

    def after_answers(self) -> Self:
        """The source has answered whatever it was asked."""
        return replace(self, refusals=0, quiet_until=0.0)

    def having_found(self, month: Month, found: Publication, before: Publication | None) -> tuple[Self, bool]:
        """What is published of a month is known.

        Args:
            month: The month.
            found: What is published now.
            before: What was published when the month was materialized last; None if it never was.

        Returns:
            What to remember of it, and whether the month is to be run.
        """
        others = {key: it for key, it in self.requested.items() if key != str(month)}
        is_other = is_changed(before, found) if before else True
        if is_other is False:
            return replace(self, requested=others), False
        asked = self.requested.get(str(month))
        is_due = asked != found.version and (is_other is True or asked is not None)
        return replace(self, requested={**others, str(month): found.version}), is_due


@dataclass(frozen=True)
class Seen:
    """What is remembered between two looks at a lake.

    Attributes:
        versions: Month -> version of its object, of what was loaded or requested; loads that failed are not repeated.
    """

    versions: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def from_cursor(cls, cursor: str | None) -> Self:
        """Read what `to_cursor` wrote; one that cannot be read is as good as none."""
        try:
            return cls(TypeAdapter(dict[str, str]).validate_json(cursor or "{}"))
        except ValueError:
            return cls()

    def to_cursor(self) -> str:
        """The text a sensor keeps."""
        return json.dumps(self.versions)

    def unseen(self, there: Mapping[Month, str]) -> dict[Month, str]:
        """The objects that are others than were seen."""
        return {month: version for month, version in there.items() if self.versions.get(str(month)) != version}

    def having_seen(self, month: Month, version: str) -> Self:
        """It was this object's turn."""
        return replace(self, versions={**self.versions, str(month): version})


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


def overdue(first: Month, today: date, here: Iterable[Month]) -> list[Month]:
    """The months that should be here by now, even at TLC's slowest, and are not.

    They are those since the newest that is here, and what failed or was passed over in the year before it.
    """
    last, here = publishable(first, today, LATEST_LAG), set(here)
    if last is None:
        return []
    since = max(min(here), max(here).minus(_HOLES)) if here else last
    return [it for it in since.until(last) if it >= first and it not in here]


def _in_turn(months: list[Month], last: str, count: int) -> list[Month]:
    """The next few after the last one, and from the beginning again."""
    after = [it for it in months if str(it) > last]
    return (after + [it for it in months if str(it) <= last])[:count]
