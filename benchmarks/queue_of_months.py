"""How long many months take with many workers, and what they wait for: a simulation with measured costs.

    python -m benchmarks.queue_of_months

A month is what `benchmarks.month_over_network` measures of one alone: it has a place of a worker from its start to its
end; of the source it has one of few places while it fetches; and while it loads, one of the database's cores. The cost
of each part is a line: so much a month, and so much a row. `CONFIRMED` are cases that were measured as a whole.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        seconds: From the first month's being asked for to the last one's end.
        places: There were.
        waited: Seconds of places in which nothing was done, by what was waited for.
    """

    seconds: float
    places: int
    waited: dict[str, float]

    @property
    def bound_by(self) -> str:
        """What was waited for most, if it was more than a fiftieth of all there was: the next thing to raise."""
        most = max(self.waited, key=lambda it: self.waited[it])
        return most if self.waited[most] > 0.02 * self.seconds * self.places else "the workers"


def simulate(months: Sequence[int], costs: Costs, on: Platform) -> Outcome:
    """Run months of so many rows each, in this order."""
    clock = simpy.Environment()
    fetches = simpy.Resource(clock, on.fetches)
    loads = simpy.Resource(clock, on.loads or len(months))
    places = simpy.Resource(clock, on.places)
    changes = simpy.Resource(clock, on.changes or len(months))
    ends: list[float] = []
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
        ends.append(clock.now)

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
    return Outcome(max(ends), on.places, waited)


#: Fitted to `RESULTS.md`: the whole job into PostgreSQL, 20,000 and 1,369,765 rows; 18 bytes a row are TLC's Parquet.
#: What one fetch gets of the source's line was not measured: ten megabytes a second is taken for it.
MEASURED = Costs(start=2.0, clean=2.3e-6, load=0.7e-6, bytes=18.0, line=10e6)
#: The same from a folder: nothing is fetched.
FROM_A_FOLDER = replace(MEASURED, bytes=0.0)


@dataclass(frozen=True)
class Case:
    """What was measured as a whole.

    Attributes:
        what: In words.
        months: Rows of each.
        platform: As it was.
        seconds: As `RESULTS.md` has it.
    """

    what: str
    months: tuple[int, ...]
    platform: Platform
    seconds: float

    @property
    def simulated(self) -> float:
        """Seconds by the simulation."""
        return simulate(self.months, FROM_A_FOLDER, self.platform).seconds


CONFIRMED = (
    Case("24 small months through the run queue, two places", (20_000,) * 24, Platform(2), 35.9),
    Case("24 small months, one job after the other", (20_000,) * 24, Platform(1, begin=0.0, between=0.0), 46.6),
    Case("a month of 1,369,765 rows into PostgreSQL", (1_369_765,), Platform(1, begin=0.0, between=0.0), 6.11),
)


def confirmed() -> str:
    """The cases that were measured, as a table of Markdown's."""
    rows = [f"| {it.what} | {it.seconds:.1f} | {it.simulated:.1f} |" for it in CONFIRMED]
    return "\n".join(["| | measured, s | simulated, s |", "|---|---:|---:|", *rows])


def history() -> str:
    """The months of TLC's catalogue with ever more workers, the newest first, as a table of Markdown's."""
    months = [published_rows(*it) or 0 for it in sorted(published_months(), key=lambda it: it[1], reverse=True)]
    lines = [
        "| workers | four fetches, four loads | bound by | 16 fetches | bound by | 16 fetches, BigQuery | bound by |",
        f"|---:|{'---:|---|' * 3}",
    ]
    for count in WORKERS:
        places = PLACES * count
        variants = (
            Platform(places),
            Platform(places, fetches=16),
            Platform(places, fetches=16, loads=None, changes=50),
        )
        found = [simulate(months, MEASURED, it) for it in variants]
        told = [f"{it.seconds / 3600:.2f} h | {it.bound_by}" for it in found]
        lines.append(f"| {count} | {' | '.join(told)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(f"{confirmed()}\n\n{history()}\n")
