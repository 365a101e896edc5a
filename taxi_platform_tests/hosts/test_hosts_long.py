"""What may happen to machines while they are at work on two years of months, and what must not come of it."""

import signal
import sys
import time
from collections.abc import Generator

import dagster as dg
import pytest

from taxi_platform_tests.hosts.platform import Cluster, cluster, wait

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(3600)]
MONTHS = [f"{year}-{number:02d}" for year in (2020, 2021) for number in range(1, 13)]
ROWS = 50_000
PATIENCE = 1_800


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster, None, None]:
    with cluster(tmp_path_factory.mktemp("hosts"), "east", "west", rows=ROWS) as up:
        yield up


def say(what: str, since: float) -> None:
    """A time for the record: `pytest -s` shows it."""
    sys.stdout.write(f"\n{what}: {time.monotonic() - since:.0f} s")
    sys.stdout.flush()


def test_two_years_are_whole_and_once_whatever_happens_to_the_machines(up: Cluster) -> None:
    east, west = up.network.hosts
    begun = time.monotonic()
    runs = [up.launch(month) for month in MONTHS]
    lost: list[str] = []

    def happened(what: str, affected: list[str]) -> None:
        since = time.monotonic()
        wait(lambda: all(up.run(it).is_finished for it in affected), PATIENCE)
        say(f"{what}: noticed", since)
        failed = [it for it in affected if up.run(it).status is dg.DagsterRunStatus.FAILURE]
        assert failed
        wait(lambda: all(up.host_of(up.last_of(it).run_id) for it in failed), PATIENCE)
        say(f"{what}: tried again", since)
        lost.extend(failed)

    wait(lambda: up.at_work(runs, east) and up.at_work(runs, west), PATIENCE)
    victim = up.at_work(runs, west)[0]
    west.kill(up.pid_of(victim))
    happened("a run's process killed", [victim])

    wait(lambda: up.at_work(runs, east), PATIENCE)
    victims = up.at_work(runs, east)
    east.power_off()
    happened("a machine switched off", victims)
    up.boot(east)

    wait(lambda: up.at_work(runs, west), PATIENCE)
    west.cut()
    time.sleep(8)  # a moment, which nobody notices
    west.mend()

    up.broker.kill()
    time.sleep(5)
    up.broker.start()

    wait(lambda: up.at_work(runs, west), PATIENCE)
    victims = up.at_work(runs, west)
    west.cut()
    happened("a machine cut off", victims)
    west.mend()

    up.wait_for_success(runs, PATIENCE)
    say("all 24 months", begun)
    assert up.table().keys() == up.objects().keys() == {*MONTHS}
    assert {count > 0.95 * ROWS for count in up.table().values()} == {True}
    assert {it.name for run in runs if (it := up.host_of(run))} == {"east", "west"}
    assert {up.last_of(it).status for it in lost} == {dg.DagsterRunStatus.SUCCESS}


def test_a_cancelled_run_ends_as_cancelled_at_work_or_waiting(up: Cluster) -> None:
    months = [f"2022-{number:02d}" for number in range(1, 9)]
    runs = [up.launch(month) for month in months]
    wait(lambda: up.at_work(runs), PATIENCE)
    at_work, waiting = up.at_work(runs)[0], runs[-1]
    wait(lambda: up.run(waiting).status is dg.DagsterRunStatus.STARTING, PATIENCE)
    since = time.monotonic()
    up.terminate(at_work)
    up.terminate(waiting, by_force=True)
    wait(lambda: all(up.run(it).is_finished for it in (at_work, waiting)), PATIENCE)
    say("two runs cancelled", since)
    assert [up.run(it).status for it in (at_work, waiting)] == [dg.DagsterRunStatus.CANCELED] * 2
    others = [it for it in runs if it not in (at_work, waiting)]
    up.wait_for_success(others, PATIENCE)
    assert up.run(waiting).status is dg.DagsterRunStatus.CANCELED
    assert months[-1] not in up.table()


def test_the_same_month_on_both_machines_at_once_is_there_once(up: Cluster) -> None:
    runs = [up.launch("2019-05") for _ in range(4)]
    up.wait_for_success(runs, PATIENCE)
    assert up.table()["2019-05"] > 0.95 * ROWS
    assert {it.name for run in runs if (it := up.host_of(run))} == {"east", "west"}


def test_the_late_result_of_a_machine_that_was_declared_dead_changes_nothing(up: Cluster) -> None:
    east, west = up.network.hosts
    runs = [up.launch(month) for month in ("2018-01", "2018-02", "2018-03", "2018-04")]
    wait(lambda: len(up.at_work(runs)) == 4, PATIENCE)
    late = up.at_work(runs, east)
    pids = [up.pid_of(it) for it in late]
    east.freeze()
    up.wait_for_success(runs, PATIENCE)
    there, stored = up.table(), up.objects()
    assert all(up.host_of(up.last_of(it).run_id) is west for it in late)

    east.thaw()
    wait(lambda: not any(east.has(pid) for pid in pids), PATIENCE)
    assert up.table() == there
    assert up.objects() == stored


def test_a_worker_that_is_told_to_stop_ends_with_the_months_it_has(up: Cluster) -> None:
    east = up.network.hosts[0]
    runs = [up.launch(month) for month in ("2017-01", "2017-02", "2017-03", "2017-04", "2017-05", "2017-06")]
    wait(lambda: up.at_work(runs, east), PATIENCE)
    its = up.at_work(runs, east)
    assert east.process
    since = time.monotonic()
    east.kill(1, signal.SIGTERM)
    assert east.process.wait(PATIENCE) == 0
    say("a worker told to stop: ended", since)
    up.wait_for_success(runs, PATIENCE)
    assert {up.run(it).status for it in its} == {dg.DagsterRunStatus.SUCCESS}
    up.boot(east)
