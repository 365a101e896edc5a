"""Which runs are killed, in which order, and what came of it."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from taxi_platform_tests.faults import points
from taxi_platform_tests.faults.stores import COMBINATIONS, Servers
from taxi_platform_tests.faults.tracer import ANY_MOMENT
from taxi_platform_tests.faults.world import Kill, World, prepared_world

#: How many runs of each combination are killed at any moment.
_AT_ANY_MOMENT = 8


@dataclass(frozen=True)
class Round:
    """A correction of the month: its runs are killed one after the other, and the last one comes to its end.

    Attributes:
        combination: The stores.
        kills: What happens to the runs before the last.
        ages: Whether two days pass before the last.
        takes_back: Whether the month is taken back to its other edition, and not published anew.
    """

    combination: str
    kills: tuple[Kill, ...]
    ages: bool = False
    takes_back: bool = False

    def __str__(self) -> str:
        later = ", two days later run to its end" if self.ages else ""
        what = "taken back, killed" if self.takes_back else "killed"
        return f"{self.combination}: {what} {', then '.join(map(str, self.kills)) or 'nowhere'}{later}"


@dataclass(frozen=True)
class Outcome:
    """What came of a round.

    Attributes:
        round: The round.
        correction: Which version was to be replaced by which.
        kills: How many runs were killed where they should.
        problems: What did not hold.
    """

    round: Round
    correction: str
    kills: int
    problems: tuple[str, ...]


def dozen() -> list[Round]:
    """A few kills that go through every store; always the same.

    An object that was stored before its run was killed is not sent again: the upload comes first in its round.
    """
    chosen = {
        "folder+duckdb": (
            (points.DOWNLOADING, points.BETWEEN_PUBLICATIONS),
            (points.BETWEEN_DELETE_AND_INSERT, points.AFTER_COMMIT),
        ),
        "folder+postgres": (
            (points.COPYING_TO_LAKE, points.FILLING_PARTITION),
            (points.BEFORE_ATTACH, points.NOT_RECORDED),
        ),
        "s3+postgres": ((points.UPLOADING_TO_S3, points.FILLING_PARTITION),),
        "gcs+bigquery": ((points.UPLOADING, ANY_MOMENT), (points.SUBMITTED, points.WAITING)),
    }
    return [
        Round(combination, tuple(Kill(point) for point in kills), ages=number == 1)
        for combination, rounds in chosen.items()
        for number, kills in enumerate(rounds)
    ]


def everything(seed: int) -> list[Round]:
    """Every point of every combination, and as many moments as chance has it."""
    chance = random.Random(seed)
    rounds: list[Round] = []
    for name, combination in COMBINATIONS.items():
        kills: list[tuple[Kill, ...]] = [(Kill(point, chance.random()),) for point in combination.points]
        left = _AT_ANY_MOMENT
        while left:
            in_a_row = min(left, chance.choice((1, 2)))
            kills.append(tuple(Kill(ANY_MOMENT, chance.random()) for _ in range(in_a_row)))
            left -= in_a_row
        chance.shuffle(kills)
        rounds += [Round(name, it, ages=chance.random() < 0.5) for it in kills]
        if name.startswith("folder+"):
            rounds += [Round(name, it, takes_back=True) for it in taken_back(chance)]
    return rounds


def taken_back(chance: random.Random) -> list[tuple[Kill, ...]]:
    """Kills of runs by which a month is taken back: at each layer, and at any moment."""
    at = (points.BETWEEN_PUBLICATIONS, points.COPYING_TO_LAKE, points.CHECKING_TABLE, ANY_MOMENT)
    return [(Kill(point, chance.random()),) for point in at]


def again(combination: str, point: str, seed: int) -> list[Round]:
    """One point of one combination, for the one correction and for the other, whether it breaks something or not."""
    chance = random.Random(seed)
    found = [it for it in (*COMBINATIONS[combination].points, ANY_MOMENT) if it.name == point]
    kills = [
        (Kill(it, chance.random()),) if is_killed else () for it in found for is_killed in (True, True, False, True)
    ]
    return [Round(combination, it, ages=number == 1) for number, it in enumerate(kills)]


def carry_out(
    rounds: Sequence[Round], servers: Servers, folder: Path, tell: Callable[[Outcome], None], worlds: int = 1
) -> None:
    """Play rounds, several combinations at a time.

    Args:
        rounds: What to do.
        servers: What the stores are on.
        folder: An empty folder.
        tell: Is told every outcome as it comes.
        worlds: Over how many worlds the rounds of a combination are spread.
    """
    lock = threading.Lock()

    def told(outcome: Outcome) -> None:
        with lock:
            tell(outcome)

    shares = [
        [it for it in rounds if it.combination == combination][number::worlds]
        for number in range(worlds)
        for combination in dict.fromkeys(it.combination for it in rounds)
    ]
    # One more than there are cores: now and then a run waits for its store.
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        plays = [pool.submit(_play, it, servers, folder / str(number), told) for number, it in enumerate(shares)]
    for play in plays:
        play.result()


def _play(rounds: Sequence[Round], servers: Servers, folder: Path, tell: Callable[[Outcome], None]) -> None:
    """Play rounds of one combination, in one world until something is broken in it."""
    with ExitStack() as stack:
        world: World | None = None
        for number, it in enumerate(rounds):
            correction, kills, problems = "", 0, list[str]()
            try:
                if world is None:
                    world = stack.enter_context(prepared_world(it.combination, servers, folder / str(number)))
                correction = f"{world.holds} by {world.coming}"
                kills = _play_round(world, it, problems)
            except Exception as error:  # noqa: BLE001 (whatever it is, it came of this round and is told with it)
                problems.append(f"{type(error).__name__}: {error}")
            if problems:
                world = None  # what is broken now must not be blamed on the next round
            tell(Outcome(it, correction, kills, tuple(problems)))


def _play_round(world: World, played: Round, problems: list[str]) -> int:
    """Play a round, and say what does not hold; how many runs were killed where they should."""
    killed = 0
    if played.takes_back:
        world.take_back()
    else:
        world.correct()
    for kill in played.kills:
        missed = world.kill(kill)
        killed += not missed
        problems += [*missed, *(f"after the kill: {it}" for it in world.check())]
    if played.ages:
        world.age()
    problems += [f"run again: {it}" for it in world.finish()]
    return killed
