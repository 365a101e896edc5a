"""What happens to the platform as a whole, and that it is whole again by itself: nobody edits a database.

A recovery is an entry of `ALWAYS`, or two runs that meet: it does something to a platform whose sensors are on, lets
hours pass by the clock, and tells what does not hold then. `campaign.py` is about single runs that are killed.
"""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from real_servers.postgres import postgres_server
from taxi_platform.automation.burial import EXECUTED_BY, executor_of
from taxi_platform.core.processes import ProcessIdentity
from taxi_platform_tests.faults import points
from taxi_platform_tests.faults.held import held_run
from taxi_platform_tests.faults.months import Version
from taxi_platform_tests.faults.station import ARRIVALS, HOUR, PUBLICATIONS, ROOT, Station, station
from taxi_platform_tests.faults.stores import PostgresDatabase
from taxi_platform_tests.faults.tracer import Point, say

#: What was here before, and what is published then.
_BEFORE, _MONTHS = "2020-08", ("2020-09", "2020-10", "2020-11", "2020-12", "2021-01")
_ROWS, _FEWER_ROWS = 400, 360
#: Seconds after which a run hangs.
_TOO_LONG = 300
_log = logging.getLogger(__name__)

#: Moments of a run in which it has no lock that another run of its month needs, in their order.
MEETINGS = (
    points.RAW_NOT_RECORDED,
    points.BETWEEN_COPIES,
    points.NOTHING_PUBLISHED,
    points.CLEANED_NOT_RECORDED,
    points.CHECKING_CLEANED,
    points.LAKE_NOT_RECORDED,
    points.CHECKING_LAKE,
    points.NOT_RECORDED,
    points.CHECKING_TABLE,
)


def four_killed_then_a_fifth(folder: Path) -> Iterator[str]:
    """Four runs are killed while they fetch, and have all places of the pool; then a fifth month is published."""
    with station(folder) as it:
        it.publish(Version("first", _BEFORE, _ROWS))
        it.platform.run("green_trips_job", _BEFORE)
        yield from it.killed_while_fetching(*(Version("first", month, _ROWS) for month in _MONTHS[:4]))
        it.publish(Version("first", _MONTHS[4], _ROWS))
        (request,) = it.asked_for(1)
        with it.at_work(request) as fifth, suppress(subprocess.TimeoutExpired):
            fifth.wait(_TOO_LONG)
        if fifth.returncode:
            yield f"the fifth run ended with {fifth.returncode}: {_log_tail(it, request)}"
        if taken := it.places_taken():
            yield f"{taken} places are taken after the fifth run"
        yield from it.settle()


def machine_restarted(folder: Path) -> Iterator[str]:
    """The machine is restarted while runs fetch; other processes have their numbers afterwards."""
    with station(folder) as it:
        it.publish(Version("first", _BEFORE, _ROWS))
        it.platform.run("green_trips_job", _BEFORE)
        yield from it.killed_while_fetching(*(Version("first", month, _ROWS) for month in _MONTHS[:2]))
        at_work = it.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        if len(at_work) != 2:
            yield f"{len(at_work)} runs are STARTED, not 2"
        for run in at_work:
            executor = executor_of(run)
            if executor is None:
                yield f"nobody recorded who executed run {run.run_id}"
                continue
            here = ProcessIdentity.current()
            before = replace(executor, boot="the one before", pid=here.pid, started=here.started)
            it.instance.add_run_tags(run.run_id, {EXECUTED_BY: json.dumps({"run": run.run_id} | asdict(before))})
        # What the daemon does first, and again every 15 seconds.
        with WorkspaceProcessContext(it.instance, EmptyWorkspaceTarget()) as context:
            yield from (str(error) for error in execute_run_monitoring_iteration(context, _log) if error)
        yield from (f"after the daemon's look: {told}" for told in it.wrong() if "still" in told or "places" in told)
        yield from it.settle()


def warehouse_refused_for_an_hour(folder: Path) -> Iterator[str]:
    """The warehouse's server is stopped for an hour, just when a month is published and another one is replaced."""
    with postgres_server() as server, station(folder, PostgresDatabase(server.new_database())) as it:
        old, new = _MONTHS[3:]
        it.publish(Version("first", old, _ROWS))
        yield from it.settle()
        it.publish(Version("second", old, _FEWER_ROWS))
        it.publish(Version("first", new, _ROWS))
        server.stop()
        runs = list[dg.ExecuteInProcessResult]()
        for _ in range(12):
            runs += [run for name in (PUBLICATIONS, ARRIVALS) for run in it.automation.tick(name)]
            it.automation.clock.at += HOUR / 12
        if not runs or any(run.success for run in runs):
            yield f"{len(runs)} runs, and some of them loaded into a server that was stopped"
        server.start()
        yield from it.settle()


def two_runs(folder: Path, older_at: Point, newer_at: Point | None = None) -> Iterator[str]:
    """A month is published again between two of its runs; the older goes on after the newer one.

    Args:
        folder: An empty folder, or none.
        older_at: Where the older run is when the month is published again.
        newer_at: Where the newer run is when the older one goes on to its end; without one that has ended before.
    """
    month = _MONTHS[4]
    with station(folder) as it:
        it.publish(Version("first", month, _ROWS))
        with held_run(it.platform, month, older_at, home=it.home) as older:
            it.publish(Version("second", month, _FEWER_ROWS))
            if newer_at is None:
                it.platform.run("green_trips_job", month)
                older.go_on()
                yield from (f"when both had ended: {told}" for told in it.wrong())
            else:
                with held_run(it.platform, month, newer_at, home=it.home) as newer:
                    older.go_on()
                    outcome = newer.go_on()
                if not outcome["succeeded"]:
                    yield f"the newer run failed: {outcome['failure']}"
                yield from (f"when both had ended: {told}" for told in it.wrong())
        yield from it.settle()


def _log_tail(it: Station, request: dg.RunRequest) -> str:
    lines = (it.folder / f"{request.partition_key}.log").read_text(encoding="utf-8").splitlines()
    return "its log ends with:\n" + "\n".join(lines[-25:])


Recovery = Callable[[Path], Iterator[str]]
#: Those that are always done.
ALWAYS: dict[str, Recovery] = {
    "four runs killed while they fetch, then a fifth month": four_killed_then_a_fifth,
    "the machine restarted with runs at work": machine_restarted,
    "the warehouse refused for an hour": warehouse_refused_for_an_hour,
}


def meeting(older_at: Point, newer_at: Point | None = None) -> str:
    """What a month that is published again between two runs is called."""
    met = f"the newer one {newer_at.name}" if newer_at else "the newer one at its end"
    return f"two runs, the older one {older_at.name}, {met}"


RECOVERIES: dict[str, Recovery] = ALWAYS | {
    meeting(older, newer): partial(two_runs, older_at=older, newer_at=newer)
    for older in MEETINGS
    for newer in (None, *MEETINGS)
}


def chosen(seed: int) -> list[str]:
    """Those that are always done, and two runs in both orders at every point; where the newer one is, is chance."""
    chance = random.Random(seed)
    return [
        *ALWAYS,
        *(meeting(older) for older in MEETINGS),
        *(meeting(older, chance.choice(MEETINGS)) for older in MEETINGS),
    ]


def what_is_wrong(name: str, folder: Path) -> list[str]:
    """Play a recovery in a process of its own; what did not hold, whatever it was.

    Args:
        name: One of `RECOVERIES`.
        folder: An empty folder.
    """
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "taxi_platform_tests.faults.recovery",
        name,
        str(folder / "station"),
    ]
    with (folder / "log").open("w") as log:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, check=False)
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        tail = (folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
        return ["\n".join((f"it ended with {done.returncode}; its log ends with:", *tail))]


def main(name: str, folder: str) -> None:
    """Play it here."""
    problems = list[str]()
    try:
        problems.extend(RECOVERIES[name](Path(folder)))
    except Exception as error:  # noqa: BLE001 (whatever it is, it came of this and is told with it)
        problems.append(f"{type(error).__name__}: {error}")
    say(json.dumps(problems))


if __name__ == "__main__":
    main(*sys.argv[1:])
