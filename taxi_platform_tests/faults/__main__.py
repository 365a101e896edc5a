"""The long form: every point of every combination, any moments, and what the platform recovers from by itself.

    python -m taxi_platform_tests.faults [COMBINATION [POINT] | RECOVERY]

`FAULTS_SEED` chooses the moments; without it chance does, and says how. With a combination only its rounds are
played; with a point of it only that, for both corrections; with the name of a recovery only that.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from taxi_platform_tests.faults.campaign import Outcome, Round, again, carry_out, everything
from taxi_platform_tests.faults.recovery import chosen, what_is_wrong
from taxi_platform_tests.faults.stores import COMBINATIONS, Servers

_WORLDS = 2


def main(arguments: Sequence[str]) -> int:
    """Kill, look, tell; 1 if anything does not hold or was not done."""
    told = os.environ.get("FAULTS_SEED") or str(random.randrange(10**6))
    if not (told.isascii() and told.isdigit()):
        sys.exit(f"FAULTS_SEED={told!r} is no seed: it takes a whole number")
    seed = int(told)
    if len(arguments) == 1 and arguments[0] not in COMBINATIONS:
        return _recover(arguments, seed)
    rounds = again(*arguments, seed=seed) if len(arguments) > 1 else everything(seed)
    if len(arguments) == 1:
        rounds = [it for it in rounds if it.combination == arguments[0]]
    print(f"FAULTS_SEED={seed}: {sum(len(it.kills) for it in rounds)} kills in {len(rounds)} corrections", flush=True)
    outcomes: list[Outcome] = []
    started = time.monotonic()

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if outcome.problems:
            print(_violation(outcome, seed), flush=True)
        broken, killed = sum(bool(it.problems) for it in outcomes), sum(it.kills for it in outcomes)
        print(
            f"{len(outcomes)}/{len(rounds)} corrections, {killed} kills, {broken} with violations, "
            f"{time.monotonic() - started:.0f} s",
            end="\r" if sys.stdout.isatty() else "\n",
            flush=True,
        )

    with tempfile.TemporaryDirectory(prefix="taxi-faults-") as folder, Servers() as servers:
        carry_out(rounds, servers, Path(folder), tell, _WORLDS)
    return max(_report(rounds, outcomes), 0 if arguments else _recover(chosen(seed), seed))


def _recover(names: Sequence[str], seed: int) -> int:
    """Play recoveries, and tell of each; 1 if anything did not hold."""
    print(f"\nFAULTS_SEED={seed}: {len(names)} recoveries", flush=True)

    def play(name: str) -> list[str]:
        with tempfile.TemporaryDirectory(prefix="taxi-faults-") as folder:
            problems = what_is_wrong(name, Path(folder))
        told = "\n  - ".join(("VIOLATION: " + name, *problems)) if problems else f"whole by itself: {name}"
        print(told, flush=True)
        return problems

    with ThreadPoolExecutor(_WORLDS) as pool:
        broken = sum(map(bool, pool.map(play, names)))
    print(f"{len(names)} recoveries, {broken} with violations", flush=True)
    return 1 if broken or not names else 0


def _violation(outcome: Outcome, seed: int) -> str:
    told = "\n  - ".join((f"VIOLATION: {outcome.round}, {outcome.correction}, seed {seed}", *outcome.problems))
    commands = [
        f"\n  Again: FAULTS_SEED={seed} python -m taxi_platform_tests.faults '{outcome.round.combination}' '{name}'"
        for name in dict.fromkeys(kill.point.name for kill in outcome.round.kills)
    ]
    return f"\n{told}{''.join(commands)}\n"


def _report(rounds: Sequence[Round], outcomes: Sequence[Outcome]) -> int:
    """Print the table; 1 if anything in it is not as it should be."""
    done = {it.round for it in outcomes if not it.problems}
    print(f"\n\n{'combination':<18}{'kills':>6}{'points reached':>16}{'violations':>12}")
    for combination in dict.fromkeys(it.combination for it in rounds):
        here = [it for it in outcomes if it.round.combination == combination]
        points = {kill.point for it in rounds if it.combination == combination for kill in it.kills}
        reached = {kill.point for it in here if it.kills == len(it.round.kills) for kill in it.round.kills}
        violations = sum(len(it.problems) for it in here)
        kills, share = sum(it.kills for it in here), f"{len(reached)} of {len(points)}"
        print(f"{combination:<18}{kills:>6}{share:>16}{violations:>12}")
    return 0 if rounds and done == set(rounds) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
