"""How a command answers: lines and tables for people, one JSON document for programs, three lines for a failure."""

import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxi_platform.core.errors import TaxiPlatformError, parts_of

#: Exit statuses: everything was done, something failed, it was asked wrongly, somebody ended it.
DONE, FAILED, ASKED_WRONGLY, INTERRUPTED = 0, 1, 2, 130


def failure_lines(told: str, cause: str = "", fix: str = "") -> list[str]:
    """A failure as people are told it: what, the cause and the fix, a line each.

    Args:
        told: The sentence of an error of the platform, which may hold all three.
        cause: What is said where it holds no cause; nothing: there is no such line.
        fix: The same of the fix.
    """
    what, its_cause, its_fix = parts_of(told)
    lines = [what, f"Cause: {its_cause or cause}", f"Fix: {its_fix or fix}"]
    return [" ".join(line.split("\n")) for line in lines if not line.endswith(": ")]


def complain(lines: list[str]) -> None:
    """Tell people of a failure, on standard error."""
    sys.stderr.write("\n".join([*lines, ""]))
    sys.stderr.flush()


def document(told: Mapping[str, Any]) -> None:
    """Write the one JSON document of a command to standard output."""
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    sys.stdout.flush()


def refused(command: str, error: TaxiPlatformError, *, as_json: bool) -> int:
    """Say that what was asked cannot be done; nothing was started."""
    complain(failure_lines(str(error)))
    if as_json:
        document({"command": command, "status": "refused", "error": error_document(str(error))})
    return ASKED_WRONGLY


def mistaken(command: str, error: Exception, *, as_json: bool) -> int:
    """Say that the platform has made a mistake, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    told = TaxiPlatformError(
        f"{type(error).__name__}: {' '.join(str(error).split())}",
        where=f"{Path(frame.filename).name}:{frame.lineno}",
        cause="a mistake in the platform, or in what it uses",
        fix="report it, with these lines",
    )
    complain(failure_lines(str(told)))
    if as_json:
        document({"command": command, "status": "failed", "error": error_document(str(told))})
    return FAILED


def error_document(told: str) -> dict[str, str | None]:
    """A failure as programs are told it."""
    what, cause, fix = parts_of(told)
    return {"what": what, "cause": cause, "fix": fix}
