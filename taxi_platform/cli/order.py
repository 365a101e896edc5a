"""What is to be run, as one process tells another; and the one that tells."""

import json
import signal
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from taxi_platform.children import run

#: Exit statuses of a process that had no time to say what became of its run.
_KILLED = {128 + it for it in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)}


@dataclass(frozen=True)
class Many:
    """What is to be done with many months.

    Attributes:
        command: The command of `taxi`.
        dataset: The dataset.
        first: The first month, or empty.
        last: The last month.
        only: Which of them; empty: all.
        config: The path of their run config; empty: none.
        backfill: The name of a backfill there is.
        workspace: The path of the workspace file whose code runs them; empty: the project's own.
        as_json: Whether a program asks.
    """

    command: str
    dataset: str = ""
    first: str = ""
    last: str = ""
    only: str = ""
    config: str = ""
    backfill: str = ""
    workspace: str = ""
    as_json: bool = False

    @classmethod
    def from_argument(cls, argument: str) -> "Many":
        """Read what `attend` has written."""
        return cls(**json.loads(argument))


@dataclass(frozen=True)
class Order:
    """What is to be run.

    Attributes:
        command: The command of `taxi` it comes from.
        subject: What it is about, to people.
        job: The job's name.
        month: Its partition; empty: it has none.
        config: The path of its run config; empty: none.
        as_json: Whether a program asks.
        verbose: Whether Dagster's own log is shown.
        afterwards: Whether the process that ran it has died, and it is to be said what became of the run.
        launch: What the run is known by, whatever becomes of that process.
    """

    command: str
    subject: str
    job: str
    month: str = ""
    config: str = ""
    as_json: bool = False
    verbose: bool = False
    afterwards: bool = False
    launch: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def from_argument(cls, argument: str) -> "Order":
        """Read what `carry_out` has written."""
        return cls(**json.loads(argument))


def carry_out(order: Order, environment: Mapping[str, str]) -> int:
    """Have it run by a process of its own, which can be told to end, and be killed.

    Returns:
        The exit status of `taxi`.
    """
    status = _process(order, environment)
    if status in _KILLED:
        _process(replace(order, afterwards=True), environment)
    return status


def attend(order: Many, environment: Mapping[str, str]) -> int:
    """Have it done by a process of its own, as `carry_out` has."""
    command = [sys.executable, "-W", "ignore", "-m", "taxi_platform.cli.many", json.dumps(asdict(order))]
    return run(environment, *command)


def _process(order: Order, environment: Mapping[str, str]) -> int:
    command = [sys.executable, "-W", "ignore", "-m", "taxi_platform.cli.month", json.dumps(asdict(order))]
    return run(environment, *command)
