"""Where the time of one job goes; see `benchmarks.breakdown`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.process import Run
from benchmarks.suites import Contender, Suite
from benchmarks.world import MONTH, World


def breakdown(world: World) -> Suite:
    """The small month and the real one's size."""

    def job(name: str, rows: int) -> Contender:
        source = world.source(rows)

        def run(folder: Path) -> Run:
            home = world.new_home(folder)
            return _completed(world.ours("benchmarks.breakdown", MONTH, home, TAXI_DATA_DIR=folder, TAXI_SOURCE=source))

        return Contender(name, f"{rows:,} rows", run, world.plan.repeats, rows)

    plan = world.plan
    return Suite(
        "breakdown", "Where the time of one job goes", (job("small", plan.small_rows), job("month", plan.month_rows))
    )


def _completed(run: Run) -> Run:
    """With what the process cannot see of itself: how it came up, and how it went down."""
    told = run.told
    reading = told["told"] - told["finished"]  # of the events, which no job does
    up = {"start the interpreter": told["first_instruction"] - run.began}
    down = {"exit": run.began + run.wall - told["told"]}
    return replace(run, wall=run.wall - reading, told={"parts": up | told["parts"] | down, "within": told["within"]})
