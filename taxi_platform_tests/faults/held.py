"""A run in a process of its own that waits at a named point until it is told to go on, while others do what they do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_platform_tests.assets.platform import Platform, failure_of
from taxi_platform_tests.faults.tracer import Point, Tracer, as_text, points_of, say

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class HeldRun:
    """A run that has come to its point."""

    child: subprocess.Popen[str]

    def go_on(self) -> dict[str, Any]:
        """Let it run to its end: whether it `succeeded`, and what it says of its `failure`."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write("go on\n")
        self.child.stdin.flush()
        *_, last = self.child.stdout
        return json.loads(last.removeprefix("ended "))


@contextmanager
def held_run(
    platform: Platform,
    month: str,
    point: Point,
    *,
    layers: Sequence[str] = ("raw", "cleaned", "quarantine", "lake", "warehouse"),
    config: Mapping[str, Any] | None = None,
    retries: int = 0,
    home: Path | None = None,
) -> Generator[HeldRun, None, None]:
    """Start a run of green in a process of its own and wait until it is at a point.

    Args:
        platform: Its data folder, its source and its stores.
        month: The month.
        point: Where it waits.
        layers: What it makes.
        config: Of the run.
        retries: How often a step that fails is tried again.
        home: The folder of Dagster's instance; without one nobody remembers the run.
    """
    task = {
        "data_dir": str(platform.data_dir),
        "source": platform.source,
        "lake_url": platform.lake_url,
        "warehouse_url": platform.warehouse_url,
        "month": month,
        "layers": list(layers),
        "config": config,
        "retries": retries,
        "home": str(home) if home else "",
        "points": as_text([point]),
    }
    command = [sys.executable, "-m", "taxi_platform_tests.faults.held", json.dumps(task)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            first = child.stdout.readline()
            assert first.startswith("begin "), f"the run never came to {point.name!r}: {first}"
            yield HeldRun(child)
        finally:
            child.kill()


def main(text: str) -> None:
    """Run what `held_run` asks for."""
    task = json.loads(text)
    platform = Platform(
        Path(task["data_dir"]), task["source"], lake_url=task["lake_url"], warehouse_url=task["warehouse_url"]
    )
    job = dg.define_asset_job(
        "held_job",
        dg.AssetSelection.assets(*([layer, "green_trips"] for layer in task["layers"])),
        executor_def=dg.in_process_executor,
        op_retry_policy=dg.RetryPolicy(max_retries=task["retries"]),
    )
    defs = dg.Definitions.merge(platform.defs, dg.Definitions(jobs=[job]))
    home = task["home"]
    with dg.DagsterInstance.from_config(home) if home else dg.DagsterInstance.ephemeral() as instance:
        Tracer(points_of(task["points"]), kill=False, hold=True).start()
        result = defs.resolve_job_def("held_job").execute_in_process(
            instance=instance, partition_key=task["month"], run_config=task["config"], raise_on_error=False
        )
    say("ended", json.dumps({"succeeded": result.success, "failure": "" if result.success else failure_of(result)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
