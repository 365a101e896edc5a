"""Many small months: through the run queue, and one job after the other."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.process import Run, cpu_of_session, in_background
from benchmarks.suites import Contender, Suite
from benchmarks.suites.jobs import execute, verified
from benchmarks.world import MONTH, World


def backfill(world: World) -> Suite:
    """The months of the plan, up to 2021-01."""
    count, rows = world.plan.backfill_months, world.plan.small_rows
    months = _months(count)
    source = world.source(rows, months[0])

    def queued(folder: Path) -> Run:
        home = world.new_home(folder)
        settings = {"TAXI_DATA_DIR": folder, "TAXI_SOURCE": source, "DAGSTER_HOME": home}
        command = [sys.executable, "-m", "taxi_platform.daemon", "run", "-w", "workspace.yaml"]
        with in_background(command, world.environ(**settings), world.cwd, folder / "daemon.log") as daemon:
            world.ours("benchmarks.instances", "await", home)
            before = cpu_of_session(daemon.pid)
            run = world.ours("taxi_platform.cli", "backfill", "yellow", months[0], MONTH, **settings)
            # The peak of the command that looks on says nothing of the runs.
            run = replace(run, cpu=run.cpu + cpu_of_session(daemon.pid) - before, peak=0)
        return verified(world, folder, run, runs=count)

    def singly(folder: Path) -> Run:
        world.new_home(folder)
        runs = [execute(world, folder, source, month) for month in months]
        total = Run(sum(it.wall for it in runs), sum(it.cpu for it in runs), max(it.peak for it in runs), runs[0].began)
        return verified(world, folder, total, runs=count)

    repeats, all_rows = world.plan.slow_repeats, rows * count
    return Suite(
        "backfill",
        f"Backfill of {count} small months",
        (
            Contender("ours", "the run queue", queued, repeats, all_rows),
            Contender("singles", "one job after the other", singly, repeats, all_rows),
        ),
    )


def _months(count: int) -> list[str]:
    """So many months up to 2021-01, the oldest first."""
    last = 2021 * 12
    return [f"{number // 12}-{number % 12 + 1:02}" for number in range(last - count + 1, last + 1)]
