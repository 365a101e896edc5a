"""A process of Dagster's ends without a word; any other keeps its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Registered first, so it speaks last.
SCRIPT = """
import atexit, gc, sys
atexit.register(lambda: sys.stderr.write("the last word"))
sys.argv[0] = {program!r}
import taxi_platform.definitions, duckdb
duckdb.connect().execute("SELECT 1").fetchall()
print(gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize("program", ["/bin/dagster", "/lib/dagster/__main__.py"])
def test_a_process_of_dagsters_is_spared_the_garbage_and_ends_without_a_word(program: str) -> None:
    done = _run(program)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "True", "")


@pytest.mark.parametrize("program", ["/bin/pytest", "-c", "", "/notebooks/dagster.py"])
def test_any_other_process_that_imports_the_definitions_is_as_it_was(program: str) -> None:
    done = _run(program)
    assert (done.returncode, done.stdout.strip()) == (0, "False")
    assert "the last word" in done.stderr


def _run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT.format(program=program)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
