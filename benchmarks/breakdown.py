"""Where the time of one job goes: `dagster job execute` in this process, with a mark wherever something else begins.

    python -m benchmarks.breakdown MONTH HOME

The events a run leaves in its instance say when its steps began and ended; `time.time` is their clock, so it is ours.
"""

import time

_FIRST_INSTRUCTION = time.time()

import functools  # noqa: E402 (the clock first)
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterable  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from benchmarks.work import tell  # noqa: E402

if TYPE_CHECKING:
    import dagster as dg

_BEGINS, _ENDS = ("STEP_START",), ("STEP_SUCCESS", "STEP_FAILURE")


def main(month: str, home: str) -> None:
    """Run the job, then tell what took how long."""
    os.environ["DAGSTER_HOME"] = home
    sys.argv[0] = "dagster"  # the definitions look by which command they are loaded
    parts: list[tuple[str, float]] = []
    mark = _FIRST_INSTRUCTION

    def lap(name: str, now: float | None = None) -> None:
        nonlocal mark
        now = now or time.time()
        parts.append((name, now - mark))
        mark = now

    import dagster as dg

    lap("import dagster")
    from dagster._cli import main as command_line

    lap("import Dagster's command line")
    import taxi_platform.definitions  # noqa: F401

    lap("import the definitions")
    handling, opening, creating = _Stopwatch(), _Stopwatch(), _Stopwatch()
    dg.DagsterInstance.handle_new_event = handling.around(dg.DagsterInstance.handle_new_event)
    dg.DagsterInstance.create_run_for_job = creating.around(dg.DagsterInstance.create_run_for_job)
    dg.DagsterInstance.get = staticmethod(opening.around(dg.DagsterInstance.get))
    tags = json.dumps({"dagster/partition": month})
    sys.argv = [
        "dagster",
        "job",
        "execute",
        "-m",
        "taxi_platform.definitions",
        "-j",
        "yellow_trips_job",
        "--tags",
        tags,
    ]
    try:
        command_line()
    except SystemExit as ended:
        if ended.code:
            raise
    finished = time.time()

    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_run_records(limit=1)
        events = [it for it in instance.all_logs(run.dagster_run.run_id) if it.dagster_event]
    lap("read the command line", opening.began)
    lap("open the instance", opening.ended)
    lap("resolve the job", creating.began)
    lap("plan and create the run", creating.ended)
    for name, begin, end in _steps(events):
        lap("between the steps" if any(it.startswith("step ") for it, _ in parts) else "begin the run", begin)
        lap(f"step {name}", end)
    lap("end the run", finished)
    tell(
        first_instruction=_FIRST_INSTRUCTION,
        finished=finished,
        told=time.time(),
        parts=_summed(parts),
        within={f"handling {handling.calls} events": handling.seconds},
    )


def _steps(events: "Iterable[dg.EventLogEntry]") -> list[tuple[str, float, float]]:
    """Each step's name, begin and end, in order."""
    begun: dict[str, float] = {}
    steps: list[tuple[str, float, float]] = []
    for it in events:
        if it.dagster_event and it.dagster_event.event_type_value in _BEGINS:
            begun[it.step_key or ""] = it.timestamp
        elif it.dagster_event and it.dagster_event.event_type_value in _ENDS:
            steps.append((it.step_key or "", begun[it.step_key or ""], it.timestamp))
    return steps


def _summed(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for name, seconds in parts:
        total[name] = total.get(name, 0.0) + seconds
    return total


class _Stopwatch:
    """Counts the time in a function, of calls within calls only the outer ones; and when its first call was."""

    def __init__(self) -> None:
        self.seconds = self.began = self.ended = 0.0
        self.calls = self._depth = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            self._depth += 1
            began = time.time()
            try:
                return function(*arguments, **named)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.began, self.ended = self.began or began, self.ended or time.time()
                    self.seconds += time.time() - began
                    self.calls += 1

        return timed


if __name__ == "__main__":
    main(*sys.argv[1:])
