"""The suites: who is measured against whom. Each is a function from the world to a `Suite`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import Run
from benchmarks.world import World


@dataclass(frozen=True)
class Contender:
    """Somebody who does the work of a suite.

    Attributes:
        name: What targets call it.
        title: What people read.
        run: Does it once, given an empty folder of its own; what it prepares and verifies is not in the figures.
        repeats: How often.
        rows: Rows it works on.
    """

    name: str
    title: str
    run: Callable[[Path], Run]
    repeats: int
    rows: int


@dataclass(frozen=True)
class Suite:
    """Contenders for the same work; the first one is what the others are compared with."""

    name: str
    title: str
    contenders: tuple[Contender, ...]

    @property
    def runs(self) -> int:
        """How many there will be."""
        return sum(it.repeats for it in self.contenders)

    def alternate(self, world: World) -> Iterator[tuple[Contender, Run]]:
        """Measure all of them in turn, so that whatever else the machine does meets all alike."""
        for number in range(max(it.repeats for it in self.contenders)):
            for contender in self.contenders:
                if number < contender.repeats:
                    folder = world.work / "run"
                    folder.mkdir()
                    try:
                        yield contender, contender.run(folder)
                    finally:
                        shutil.rmtree(folder)
