"""The process that is killed: runs months of green, one after the other, each as a run of Dagster of its own.

`python -m taxi_platform_tests.faults.child kill|watch POINTS MONTH...`; `POINTS` is JSON. It dies at the point given,
or only says when points begin and end. What it says on standard output is for `world.py`, which answers when the next
month may begin; the log is on standard error.
"""

from __future__ import annotations

import sys

import dagster as dg

from taxi_platform.definitions import defs
from taxi_platform_tests.faults.tracer import ANY_MOMENT, Tracer, begun, ended, points_of, say


def main(what: str, points: str, *months: str) -> None:
    """Run the months."""
    job = defs.resolve_job_def("green_trips_job")
    watched, kill = points_of(points), what == "kill"
    with dg.DagsterInstance.get() as instance:
        for month in months:
            begun(ANY_MOMENT)
            if watched != [ANY_MOMENT]:
                Tracer(watched, kill=kill).start()
            result = job.execute_in_process(instance=instance, partition_key=month)
            ended(ANY_MOMENT, to_be_killed=kill and watched == [ANY_MOMENT])
            say("ran", month, result.run_id)
            sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
