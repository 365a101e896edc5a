"""What is to be done, as one process tells another; and the one that tells."""

import json
import signal
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, Self

from taxi_platform.children import run

#: Exit statuses of a process that had no time to say what became of its run.
_KILLED = {128 + it for it in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)}


@dataclass(frozen=True)
class Order:
    """What is to be done.

    Attributes:
        module: What does it, as a process of its own: it can be told to end, and be killed.
        command: The command of `taxi`.
    """

    module: ClassVar[str]
    command: str

    def carry_out(self, environment: Mapping[str, str]) -> int:
        """Have it done.

        Returns:
            The exit status of `taxi`.
        """
        return run(environment, sys.executable, "-W", "ignore", "-m", self.module, json.dumps(asdict(self)))

    @classmethod
    def from_argument(cls, argument: str) -> Self:
        """Read what `carry_out` has written."""
        return cls(**json.loads(argument))


@dataclass(frozen=True)
class Job(Order):
    """A job that is to be run.

    Attributes:
        subject: What it is about, to people.
        job: The job's name.
        month: Its partition, or the first of many; empty: it has none.
        last: The last of many months, which one run is about; empty: it is about one.
        config: The path of its run config; empty: none.
        as_json: Whether a program asks.
        verbose: Whether Dagster's own log is shown.
        afterwards: Whether the process that ran it has died, and it is to be said what became of the run.
        launch: What the run is known by, whatever becomes of that process.
    """

    module = "taxi_platform.cli.month"
    subject: str
    job: str
    month: str = ""
    last: str = ""
    config: str = ""
    as_json: bool = False
    verbose: bool = False
    afterwards: bool = False
    launch: str = field(default_factory=lambda: str(uuid.uuid4()))

    def carry_out(self, environment: Mapping[str, str]) -> int:
        """See `Order.carry_out`; of a process that was killed, another says what became of its run."""
        status = super().carry_out(environment)
        if status in _KILLED:
            Order.carry_out(replace(self, afterwards=True), environment)
        return status


@dataclass(frozen=True)
class Many(Order):
    """What is to be done with many months.

    Attributes:
        dataset: The dataset.
        first: The first month, or empty.
        last: The last month.
        only: Which of them; empty: all.
        config: The path of their run config; empty: none.
        backfill: The name of a backfill there is.
        workspace: The path of the workspace file whose code runs them; empty: the project's own.
        as_json: Whether a program asks.
    """

    module = "taxi_platform.cli.many"
    dataset: str = ""
    first: str = ""
    last: str = ""
    only: str = ""
    config: str = ""
    backfill: str = ""
    workspace: str = ""
    as_json: bool = False


@dataclass(frozen=True)
class Overview(Order):
    """What is to be looked at.

    Attributes:
        dataset: The dataset; empty: all.
        as_json: Whether a program asks.
        port: Where figures are served; 0: they are printed.
        host: At which address.
    """

    module = "taxi_platform.cli.overview"
    dataset: str = ""
    as_json: bool = False
    port: int = 0
    host: str = ""


@dataclass(frozen=True)
class Report(Order):
    """The marts of whichever months have changed, and the page.

    Attributes:
        as_json: Whether a program asks.
        verbose: Whether Dagster's own log is shown.
    """

    module = "taxi_platform.cli.report"
    as_json: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class Editions(Order):
    """What is to be done with the editions of a month's file.

    Attributes:
        dataset: The dataset.
        month: The month.
        first: The name of one of them; empty: the one there is reason to take.
        second: The name of another one, likewise.
        as_json: Whether a program asks.
    """

    module = "taxi_platform.cli.editions"
    dataset: str = ""
    month: str = ""
    first: str = ""
    second: str = ""
    as_json: bool = False


@dataclass(frozen=True)
class Verification(Order):
    """Months whose stores are to be held against each other.

    Attributes:
        dataset: The dataset.
        first: The first month.
        last: The last one.
        as_json: Whether a program asks.
    """

    module = "taxi_platform.cli.verifying"
    dataset: str = ""
    first: str = ""
    last: str = ""
    as_json: bool = False
