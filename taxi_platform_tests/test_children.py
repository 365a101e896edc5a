"""What make starts ends in its own time when it is told to, and at once when it is told twice."""

import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager, suppress

import pytest

from taxi_platform.cli.following import no_ctrl_c_is_lost
from taxi_platform_tests.test_launch import ROOT

#: It says that it is there, and what it hears.
STUBBORN = """
import os, signal, sys, time
for it in (signal.SIGINT, signal.SIGTERM):
    # Not by `print`, which may be at work when the signal comes, and takes no second call meanwhile.
    signal.signal(it, lambda number, _: os.write(1, b"heard %d\\n" % number))
print("there", flush=True)
while True:
    time.sleep(0.1)
"""
#: Whoever runs the tests may have them ignore SIGHUP (nohup), and what they start would, too.
START = (
    "import os, signal, sys; from taxi_platform.children import run; signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    "sys.exit(run(os.environ, sys.executable, '-c', {!r}))"
)


@contextmanager
def started(script: str) -> Generator["subprocess.Popen[str]", None, None]:
    command = [sys.executable, "-c", START.format(script)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as it:
        try:
            assert it.stdout is not None
            assert it.stdout.readline() == "there\n"
            yield it
        finally:
            with suppress(ProcessLookupError):
                os.killpg(it.pid, signal.SIGKILL)


def heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_second_ctrl_c_ends_what_does_not_end_at_the_first() -> None:
    with started(STUBBORN) as it:
        os.killpg(it.pid, signal.SIGINT)  # as a terminal does
        assert heard(it) == f"heard {int(signal.SIGINT)}\n"
        time.sleep(1)  # two signals at the same moment are one to whom they are sent
        os.killpg(it.pid, signal.SIGINT)
        _, said = it.communicate(timeout=60)
        assert it.returncode == 128 + signal.SIGKILL
    assert "ended at once, as it was told twice" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_tells_only_the_first_of_them_to_end_has_told_both(number: int) -> None:
    with started(STUBBORN) as it:
        it.send_signal(number)
        assert heard(it) == f"heard {int(signal.SIGTERM)}\n"
        it.send_signal(number)
        it.communicate(timeout=60)
        assert it.returncode == 128 + signal.SIGKILL


def test_one_that_ends_by_itself_has_its_own_exit_status() -> None:
    with started("print('there', flush=True); raise SystemExit(7)") as it:
        it.communicate(timeout=60)
        assert it.returncode == 7


def test_a_ctrl_c_that_comes_where_python_lets_no_exception_out_ends_who_watches_a_backfill() -> None:
    class Garbage:
        pass

    before, garbage = signal.getsignal(signal.SIGINT), Garbage()
    with no_ctrl_c_is_lost() as end_if_told:
        end_if_told()
        gone = weakref.ref(garbage, lambda _: signal.raise_signal(signal.SIGINT))
        del garbage
        assert gone() is None
        with pytest.raises(KeyboardInterrupt):
            end_if_told()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # a second time: at once
    assert signal.getsignal(signal.SIGINT) is before
