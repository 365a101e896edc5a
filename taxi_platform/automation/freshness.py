"""One statement per month: what the source announces, the lake and the table hold, by name of content.

What follows from it is decided here, without Dagster, network or clock: whether something differs, and whether it is
time to ask for it, once more. Nothing is asked for only once: a run that was asked for may meet an outage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Self

from pydantic import TypeAdapter

from taxi_platform.core.month import Month
from taxi_platform.core.source import Publication

#: How long to wait after each time a content was asked for and did not arrive; the last one from then on.
PAUSES = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=3), timedelta(days=7))
#: What somebody did not record. It differs from nothing.
UNKNOWN = ""
#: Storages index what a run is asked for with; a source may call its versions anything.
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Statement:
    """What is where of a month. None: nothing is there; `UNKNOWN`: something is, and nobody recorded what.

    Attributes:
        published: What the source announced of what was fetched last, as far as it was recorded.
        fetched: SHA-256 of the raw file that was fetched last.
        cleaned: SHA-256 of the raw file that the platform's newest object in the lake was made of.
        stored: The lake's name for the version of the object it holds now, whoever put it there; `UNKNOWN` where the
            lake cannot be asked.
        loaded: The lake's name for the version that the table of this store was loaded from.
        loaded_raw: SHA-256 of the raw file that version was made of.
    """

    published: Publication | None = None
    fetched: str | None = None
    cleaned: str | None = None
    stored: str | None = None
    loaded: str | None = None
    loaded_raw: str | None = None

    @property
    def lake_is_behind(self) -> bool:
        """Whether what was fetched is not in the lake: its run failed on the way, or this is another lake."""
        if self.fetched is None:
            return False
        return self.stored is None or self.cleaned is None or _differ(self.fetched, self.cleaned)

    @property
    def table_is_behind_the_lake(self) -> bool:
        """Whether the lake holds what the table of this store was not loaded from."""
        return self.stored is not None and (self.loaded is None or self.loaded != self.stored)

    @property
    def table_is_behind(self) -> bool:
        """Whether the table of this store lacks the month, or what was fetched or stored is known to be another."""
        if self.loaded is None:
            return True
        return _differ(self.stored or UNKNOWN, self.loaded) or _differ(
            self.fetched or UNKNOWN, self.loaded_raw or UNKNOWN
        )


def _differ(one: str, other: str) -> bool:
    return UNKNOWN not in (one, other) and one != other


@dataclass(frozen=True)
class Request:
    """The newest run the platform asked for by itself, of a month and job.

    Attributes:
        run: The run's id.
        wanted: The name of the content it was to bring.
        attempt: The how manieth request for that content it was, counted from 1.
        at: When it was asked for, in seconds since 1970.
    """

    run: str
    wanted: str
    attempt: int
    at: float


def name_of(version: str) -> str:
    """The name that a content is asked for by; what is too long for a name is replaced by its hash."""
    return version if len(version) <= _LONGEST_NAME else f"sha256:{hashlib.sha256(version.encode()).hexdigest()}"


def next_attempt(last: Request | None, wanted: str, now: float) -> int | None:
    """The how manieth request for a content would be made now; None while it is too early to ask once more.

    Args:
        last: The newest request for the month.
        wanted: The name of the content.
        now: Seconds since 1970. A request from the future was made by a clock gone wrong: nobody waits for it.
    """
    if last is None or last.wanted != wanted:
        return 1
    return last.attempt + 1 if now >= asked_again_at(last) or now < last.at else None


def asked_again_at(last: Request) -> float:
    """When a content is asked for once more if it has not arrived, in seconds since 1970."""
    return last.at + PAUSES[min(max(last.attempt, 1), len(PAUSES)) - 1].total_seconds()


@dataclass(frozen=True)
class Loaded:
    """What one look at a lake has found to agree with the table: a look at the records that need not be repeated.

    Attributes:
        store: The store that it agrees with, as a hash.
        agreed: Month -> version of the lake's object. None of it was taken on trust: the table's own record said so.
        first_store: The store that records without a name of one belong to: versions of the platform before this one
            made them, and worked for the store that was there first.
    """

    store: str = ""
    agreed: Mapping[str, str] = field(default_factory=dict[str, str])
    first_store: str = ""

    @classmethod
    def from_cursor(cls, cursor: str | None, store: str) -> Self:
        """Read what `to_cursor` wrote, as far as it is of this store; one that cannot be read is as good as none.

        What a version of the platform before this one wrote is not believed: it names what was asked for as well as
        what was loaded.
        """
        try:
            found = TypeAdapter(cls).validate_json(cursor or "{}")
        except ValueError:
            found = cls()
        key = hashlib.sha256(store.encode()).hexdigest()[:16]
        agreed = found.agreed if found.store == key else {}
        return cls(key, agreed, found.first_store or key)

    def to_cursor(self) -> str:
        """The text a sensor keeps."""
        return json.dumps(asdict(self))

    @property
    def is_first_store(self) -> bool:
        """Whether records without the name of a store are this store's."""
        return self.store == self.first_store

    def unsettled(self, there: Mapping[Month, str]) -> dict[Month, str]:
        """The objects that are not known to agree with the table."""
        return {month: version for month, version in there.items() if self.agreed.get(str(month)) != version}

    def having_agreed(self, month: Month, version: str) -> Self:
        """The table's record says that it was loaded from this version."""
        return replace(self, agreed={**self.agreed, str(month): version})
