"""How long many months take with many workers, and what they wait for: a simulation with measured costs.

    python -m benchmarks.queue_of_months

A month is what `benchmarks.month_over_network` measures of one alone: it has a place of a worker from its start to its
end; of the source it has one of few places while it fetches; and while it loads, one of the database's cores. The cost
of each part is a line: so much a month, and so much a row. `CONFIRMED` are cases that were measured as a whole.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from taxi_platform.core.catalog.published import published_months, published_rows

PLACES = 2
WORKERS = (1, 2, 4, 16, 64)


@dataclass(frozen=True)
class Costs:
    """What a month takes, alone.

    Attributes:
        start: Seconds of a place for any month: its process, Dagster's records, the checks.
        clean: Seconds of a place per row: to clean, to compare, to put into the lake.
        load: Seconds per row in which the warehouse copies: of its cores and of a place.
        bytes: Of the source's file per row.
        line: Bytes a second that the source gives one fetch.
    """

    start: float
    clean: float
    load: float
    bytes: float
    line: float

    def alone(self, rows: int) -> float:
        """Seconds of a month that waits for nobody."""
        return self.start + (self.clean + self.load + self.bytes / self.line) * rows


@dataclass(frozen=True)
class Platform:
    """What months wait for.

    Attributes:
        places: Of all workers.
        fetches: Files of the source at once: the pool's limit.
        loads: Months the warehouse loads at once, each as fast as alone; None: any number.
        changes: Months the warehouse takes in 10 s (BigQuery's changes of partitions: 50); None: any number.
        begin: Seconds until the first month begins.
        between: Seconds between two months that Dagster gives out, by one queue.
    """

    places: int
    fetches: int = 4
    loads: int | None = 4
    changes: int | None = None
    begin: float = 8.0
    between: float = 0.25


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        seconds: From the first month's being asked for to the last one's end.
        waited: Seconds that all months together waited, by what for.
    """

    seconds: float
    waited: dict[str, float]

    @property
    def bound_by(self) -> str:
        """What was waited for most, beside a place: the next thing to raise."""
        first = max(self.waited, key=lambda it: self.waited[it])
        return first if self.waited[first] > 0.01 * self.seconds else "nothing"


def simulate(months: Sequence[int], costs: Costs, on: Platform) -> Outcome:
    """Run months of so many rows each, in this order."""
    clock = simpy.Environment()
    fetches = simpy.Resource(clock, on.fetches)
    loads = simpy.Resource(clock, on.loads or len(months))
    places = simpy.Resource(clock, on.places)
    changes = simpy.Resource(clock, on.changes or len(months))
    waited = {"the source": 0.0, "the warehouse": 0.0, "Dagster's queue": 0.0}

    def held(resource: simpy.Resource, what: str, seconds: float) -> Generator[Any, Any, None]:
        since = clock.now
        with resource.request() as turn:
            yield turn
            waited[what] += clock.now - since
            yield clock.timeout(seconds)

    def lets_go(turn: Any) -> Generator[Any, Any, None]:
        yield clock.timeout(10.0)
        changes.release(turn)

    def month(rows: int, place: Any) -> Generator[Any, Any, None]:
        yield clock.timeout(costs.start)
        yield from held(fetches, "the source", costs.bytes / costs.line * rows)
        yield clock.timeout(costs.clean * rows)
        if on.changes:
            since = clock.now
            turn = changes.request()
            yield turn
            waited["the warehouse"] += clock.now - since
            clock.process(lets_go(turn))
        yield from held(loads, "the warehouse", costs.load * rows)
        places.release(place)

    def queue() -> Generator[Any, Any, None]:
        yield clock.timeout(on.begin)
        for rows in months:
            since = clock.now
            yield clock.timeout(on.between)
            idle = on.places - places.count
            place = places.request()
            yield place
            if idle:  # a worker stood idle while the queue made up its mind
                waited["Dagster's queue"] += clock.now - since
            clock.process(month(rows, place))

    clock.process(queue())
    clock.run()
    return Outcome(clock.now, waited)
