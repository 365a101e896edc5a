"""Every suite, in the order they are measured and shown in."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.suites import Suite, jobs, stages
from benchmarks.suites.backfill import backfill
from benchmarks.suites.breakdown import breakdown
from benchmarks.suites.history import starts, ticks
from benchmarks.world import World

#: Those with the slow peers last: who cannot wait has the rest.
SUITES: dict[str, Callable[[World], Suite]] = {
    "clean": stages.clean,
    "lake": stages.lake,
    "duckdb": stages.duckdb,
    "checks": stages.checks,
    "job-duckdb": jobs.to_duckdb,
    "job-small": jobs.small,
    "breakdown": breakdown,
    "backfill": backfill,
    "ticks": ticks,
    "starts": starts,
    "growth": jobs.growth,
    "postgres": stages.postgres,
    "job-postgres": jobs.to_postgres,
}
