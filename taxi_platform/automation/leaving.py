"""How a process of Dagster's is spared the looking for garbage in what it has loaded, most of all at its end."""

import atexit
import gc
import os
import sys
from contextlib import suppress
from pathlib import Path


def spare_the_garbage() -> None:
    """Leave what is loaded by now to the operating system, in a process that one of Dagster's commands began.

    Such a process is a run, or serves runs: Dagster, Arrow and DuckDB stay loaded until it ends. Python would look
    through them for garbage every now and then, and four times at the end: half a second, a fifth of a small month's
    run. Connections and files are closed by then, by the blocks that opened them.
    """
    program = Path(sys.argv[0])  # `dagster`, or `…/dagster/__main__.py`; what a run was spawned by, where it was
    if "dagster" in (program.name, program.parent.name):
        gc.freeze()
        atexit.register(_leave_at_once)


def _leave_at_once() -> None:
    gc.freeze()
    # DuckDB's binding takes what is not collected for leaked, and would name every function of it.
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 (the name of a device)
        os.dup2(nothing.fileno(), 2)
