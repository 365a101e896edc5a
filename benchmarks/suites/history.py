"""What an instance that has been at work for years costs: a look of the sensors, and the start of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.process import Run
from benchmarks.suites import Contender, Suite
from benchmarks.suites.jobs import execute, verified
from benchmarks.world import World


def ticks(world: World) -> Suite:
    """One look of all the sensors that look for months."""

    def tick(folder: Path, data: Path) -> Run:
        source, copy = folder / "nothing", shutil.copytree(data, folder / "data")
        source.mkdir()
        return world.ours("benchmarks.instances", "tick", copy / "dagster", TAXI_DATA_DIR=copy, TAXI_SOURCE=source)

    return _suite(world, "ticks", "A look of the eight sensors that look for months", tick)


def starts(world: World) -> Suite:
    """From the start of the process to the first step of its run."""
    source = world.source(world.plan.small_rows)

    def start(folder: Path, data: Path) -> Run:
        world.new_home(folder, data / "dagster")
        run = verified(world, folder, execute(world, folder, source))
        return replace(run, told={"seconds": run.told["start"]})

    return _suite(world, "starts", "The start of a run, until its first step", start)


def _suite(world: World, name: str, title: str, run: Callable[[Path, Path], Run]) -> Suite:
    months, rows, often = world.plan.history_months, world.plan.small_rows, world.plan.repeats
    old = world.work / f"remembered-{months}"
    if not old.exists():
        world.new_home(old)
        world.ours("benchmarks.instances", "remember", old, str(months))
    titled = f"4 datasets × {months} months of history"
    return Suite(
        name,
        title,
        (
            Contender("old", titled, lambda it: run(it, old), often, rows),
            Contender("new", "an empty instance", lambda it: run(it, world.home.parent), often, rows),
        ),
    )
