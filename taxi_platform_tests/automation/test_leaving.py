"""A process of Dagster's own ends without a word that is not its own; any other is left as it is."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import dagster as dg
import pytest

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sysconfig.get_path("scripts"), "dagster"))
MODULE = str(Path(dg.__file__).with_name("__main__.py"))
# Registered first, so they speak last.
SCRIPT = """
import atexit, gc, sys
atexit.register(lambda: sys.stderr.write("the last word\\n"))
atexit.register(lambda: 1 / 0)
sys.argv[0] = {program!r}
import taxi_platform.definitions, duckdb
duckdb.connect().execute("SELECT 1").fetchall()
print(gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize("program", [COMMAND, MODULE])
def test_a_process_of_dagsters_is_spared_the_garbage_and_hides_nobodys_traceback(program: str) -> None:
    done = _run(program)
    assert (done.returncode, done.stdout.strip()) == (0, "True")
    assert "ZeroDivisionError" in done.stderr
    assert "the last word" in done.stderr
    assert "nanobind" not in done.stderr


@pytest.mark.parametrize(
    "program",
    ["/bin/pytest", "-c", "", "/notebooks/dagster.py", "/me/dagster/load.py", "/me/dagster/__main__.py", "/me/dagster"],
)
def test_any_other_process_that_imports_the_definitions_is_as_it_was(program: str) -> None:
    done = _run(program)
    assert (done.returncode, done.stdout.strip()) == (0, "False")
    assert "the last word" in done.stderr


def test_a_link_to_the_command_of_dagster_is_that_command(tmp_path: Path) -> None:
    (tmp_path / "dagster").symlink_to(COMMAND)
    assert _run(str(tmp_path / "dagster")).stdout.strip() == "True"


def test_a_script_in_a_folder_named_dagster_shows_its_traceback(tmp_path: Path) -> None:
    (script := tmp_path / "dagster" / "load.py").parent.mkdir()
    script.write_text("import atexit\natexit.register(lambda: 1 / 0)\nimport taxi_platform.definitions\n")
    command = [sys.executable, "-W", "ignore", str(script)]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True)
    assert "ZeroDivisionError" in done.stderr


def _run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT.format(program=program)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
