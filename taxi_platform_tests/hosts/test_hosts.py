"""Months over two machines that share nothing but the lake, the warehouse, Dagster's records and the broker."""

from collections.abc import Generator

import dagster as dg
import pytest

from taxi_platform_tests.hosts.platform import Cluster, cluster, wait

#: About a minute on two idle cores; a busy machine may take several times that.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
MONTHS = [f"2020-{number:02d}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster, None, None]:
    with cluster(tmp_path_factory.mktemp("hosts"), "east", "west", rows=2_000) as up:
        yield up


@pytest.mark.campaign
def test_months_are_whole_and_once_though_a_process_is_killed_and_a_machine_is_cut_off(up: Cluster) -> None:
    east, west = up.network.hosts
    runs = [up.launch(month) for month in MONTHS]
    assert all(up.worker_answers(host) for host in (east, west))
    wait(lambda: up.at_work(runs, east) and up.at_work(runs, west), 120)
    cut_off, killed = up.at_work(runs, east)[0], up.at_work(runs, west)[0]
    east.cut()
    west.kill(up.pid_of(killed))
    up.wait_for_success(runs, 600)

    assert up.table().keys() == up.objects().keys() == {*MONTHS}
    assert min(up.table().values()) > 1_900
    for run in (cut_off, killed):
        assert up.run(run).status is dg.DagsterRunStatus.FAILURE
        assert up.host_of(up.last_of(run).run_id) is west
    assert "worker taxi-" in up.why_failed(cut_off)
    assert "has said nothing for" in up.why_failed(cut_off)
    # Whichever machine a run was on: the UI shows what it printed.
    assert f"{up.table()[up.run(cut_off).tags['dagster/partition']]:,} rows in taxi.green_trips" in up.logs(
        up.last_of(cut_off).run_id
    )
    east.mend()
