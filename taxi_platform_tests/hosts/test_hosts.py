"""Months over two machines that share nothing but the lake, the warehouse, Dagster's records and the broker."""

import signal
import time
from collections.abc import Generator
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform_tests.hosts.platform import Cluster, cluster, wait

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
ROWS = 60_000


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster, None, None]:
    with cluster(tmp_path_factory.mktemp("hosts"), "east", "west", rows=ROWS) as up:
        yield up


def test_months_are_whole_and_once_though_a_process_is_killed_and_a_machine_is_cut_off(two_hosts: Cluster) -> None:
    begun = time.monotonic()
    told = []
    runs = [two_hosts.launch(f"2020-{number:02d}") for number in range(1, 7)]
    wait(lambda: sum(two_hosts.host_of(it) is not None for it in runs) >= 3, 120)
    told.append(f"begun {time.monotonic() - begun:.1f}")
    at_work = [it for it in runs if two_hosts.host_of(it) and two_hosts.run(it).status is dg.DagsterRunStatus.STARTED]
    victim, other = at_work[0], at_work[-1]
    host = two_hosts.host_of(victim)
    assert host
    host.kill(two_hosts.pid_of(victim), signal.SIGKILL)
    two_hosts.wait_for_success(runs, 240)
    told.append(f"done {time.monotonic() - begun:.1f}")
    print(told, [(two_hosts.host_of(it), two_hosts.last_of(it).tags.get("dagster/retry_number")) for it in runs])
    print(two_hosts.logs(runs[-1]))
    print(two_hosts.table(), two_hosts.objects())
    raise AssertionError
