"""docs/scaling.md says what is measured and what the simulation says; the simulation, what was measured."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from benchmarks.queue_of_months import CONFIRMED, MEASURED, Case, Platform, confirmed, history, simulate
from taxi_platform.core.catalog.published import published_months, published_rows

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CONFIRMED, ids=lambda it: it.what)
def test_the_simulation_says_what_was_measured_as_a_whole(case: Case) -> None:
    assert f" {case.seconds:.4g} |" in (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert case.simulated == pytest.approx(case.seconds, rel=0.1)


def test_the_page_has_the_tables_of_the_simulation() -> None:
    assert confirmed() in PAGE
    assert history() in PAGE
    rows = [published_rows(*it) or 0 for it in published_months()]
    assert f"{len(rows)} files with {sum(rows):,} rows" in PAGE
    assert f"{sum(map(MEASURED.alone, rows)) / 3600:.1f} hours of one place" in PAGE
    assert f"{sum(rows) * MEASURED.bytes / 1e9:.0f} GB of its Parquet" in PAGE


def test_the_settings_of_workers_are_those_the_page_and_the_simulation_speak_of() -> None:
    told = yaml.safe_load((ROOT / "deploy" / "compose" / "workers" / "dagster.yaml").read_text(encoding="utf-8"))
    assert told["concurrency"]["pools"]["default_limit"] == Platform(1).fetches == 4
    assert f"`max_concurrent_runs` of them, {told['concurrency']['runs']['max_concurrent_runs']}," in PAGE
    assert told["run_monitoring"]["poll_interval_seconds"] == 10
    assert told["run_monitoring"]["start_timeout_seconds"] == 900  # a quarter of an hour


def test_months_wait_for_what_is_scarce() -> None:
    months = (1_000_000,) * 40
    alone = MEASURED.alone(1_000_000)
    free = Platform(40, fetches=40, loads=None, begin=0.0, between=0.0)
    assert simulate(months, MEASURED, free).seconds == pytest.approx(alone)
    assert simulate(months, MEASURED, replace(free, places=1)).seconds == pytest.approx(40 * alone)

    few = simulate(months, MEASURED, replace(free, fetches=1))
    assert few.bound_by == "the source"
    assert few.seconds > 40 * MEASURED.bytes / MEASURED.line * 1_000_000
    slow = simulate(months, MEASURED, replace(free, loads=1))
    assert slow.bound_by == "the warehouse"
    assert slow.seconds > 40 * MEASURED.load * 1_000_000
    # 50 changes in any ten seconds: of 51 months one waits for them.
    bound = simulate((1,) * 51, MEASURED, replace(free, places=51, fetches=51, changes=50))
    assert 10.0 < bound.seconds < 10.0 + 2 * MEASURED.start
