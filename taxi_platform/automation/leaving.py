"""How a process of Dagster's is spared the looking for garbage in what it has loaded, most of all at its end."""

import atexit
import gc
import os
import sys
import sysconfig
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

#: Where the last thing to end is kept.
_SILENCE = f"{__name__}.silence"


def spare_the_garbage() -> None:
    """Leave what is loaded by now to the operating system, in a process that one of Dagster's commands began.

    Such a process is a run, or serves runs: Dagster, Arrow and DuckDB stay loaded until it ends. Python would look
    through them for garbage every now and then, and four times at the end: half a second, a fifth of a small month's
    run. Connections and files are closed by then, by the blocks that opened them.
    """
    if _is_dagsters(Path(sys.argv[0])):  # or of what it was spawned by: a run has its code server's
        leave_to_the_system()


def leave_to_the_system() -> None:
    """Leave what is loaded by now to the operating system: what this process has to do is a run, and then it ends."""
    gc.freeze()
    if _SILENCE not in sys.__dict__:
        atexit.register(gc.freeze)
        sys.__dict__[_SILENCE] = _Silence()  # Python takes `sys` apart last of all modules


def _is_dagsters(program: Path) -> bool:
    """Whether a program is the command `dagster` of this very Python, or what `python -m dagster` runs.

    A name alone says nothing: people keep their own scripts in folders named so, or name them so.
    """
    if program.name not in ("dagster", "__main__.py"):  # most: nothing is looked up for them
        return False
    package = find_spec("dagster")
    modules = [] if package is None or package.origin is None else [Path(package.origin).with_name("__main__.py")]
    commands = [Path(sysconfig.get_path("scripts"), "dagster"), Path(sys.executable).with_name("dagster")]
    with suppress(OSError):
        return program.resolve() in {it.resolve() for it in (*modules, *commands)}
    return False


class _Silence:
    """Closes standard error when Python has nothing more to say: after the last exit function and the last module.

    DuckDB's binding speaks even later. It takes what is not collected for leaked, and would name every function of it.
    """

    def __init__(self) -> None:
        self._nothing = os.open(os.devnull, os.O_WRONLY)
        self._put_in_place = os.dup2  # at that time there is no module `os` any more

    def __del__(self) -> None:
        self._put_in_place(self._nothing, 2)
