"""How a command of Dagster's is run from a terminal: told to end, it ends in its own time; told twice, at once."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def run(environment: Mapping[str, str], *command: str) -> int:
    """Run a command until it ends.

    Args:
        environment: What it gets.
        command: The program and its arguments.

    Returns:
        Its exit status, as shells say it: 128 and the signal's number if a signal ended it.
    """
    told: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def hear(number: int, _: Any) -> None:
        told.append(number)
        if process is None:
            return  # it is told as soon as it is there
        if len(told) > 1:
            process.kill()
        elif number != signal.SIGINT:  # of a Ctrl-C it hears by itself
            process.terminate()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = [it for it in numbers if signal.getsignal(it) != signal.SIG_IGN]
    # Before there is anything to pass them on to: no moment is left in which a signal would end us and not the command.
    before = {number: signal.signal(number, hear) for number in heard}
    try:
        with subprocess.Popen(command, env=environment) as process:  # noqa: S603 (ours)
            if told:
                process.terminate()
            status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if len(told) > 1:
        sys.stderr.write("ended at once, as it was told twice; what it was at is as it was before, or whole\n")
    return status if status >= 0 else 128 - status
