"""What `taxi` says to people and to programs, and what it costs to ask it."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from taxi_platform_tests.test_launch import KEPT, ROOT, launch

pytestmark = pytest.mark.usefixtures("dagster_is_there")
TAXI = str(Path(sys.executable).with_name("taxi"))


def settings(folder: Path, **others: str) -> dict[str, str]:
    return {"TAXI_DATA_DIR": str(folder / "data"), "TAXI_SOURCE": "sample", "TAXI_SAMPLE_ROWS": "500"} | others


def ask(*command: str, environment: dict[str, str] = KEPT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["backfill", "--help"]])
def test_the_help_does_not_wait_for_dagster_or_for_what_reads_data(arguments: list[str]) -> None:
    done = ask(sys.executable, "-X", "importtime", "-m", "taxi_platform.cli", *arguments)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}

    assert done.returncode == 0
    assert "Usage: taxi" in done.stdout
    assert not loaded & {"dagster", "duckdb", "pyarrow", "pandas", "google", "psycopg", "requests"}


def test_a_run_is_told_layer_by_layer_and_ends_with_a_table(tmp_path: Path) -> None:
    done = launch("run", "green", "2020-01", environment=settings(tmp_path))

    assert done.returncode == 0, done.stderr
    told = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert sorted(told[:5]) == ["cleaned", "lake", "quarantine", "raw", "warehouse"]
    assert told[0] == "raw"
    assert told[4] == "warehouse"
    assert "│ warehouse" in done.stdout
    assert "checks hold" in done.stdout
    assert done.stderr == ""


def test_what_a_check_warns_of_is_told(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    header = "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,new_one\n"
    rows = "".join(f"1,2020-01-{day:02d} 10:00:00,2020-01-{day:02d} 10:10:00,x\n" for day in range(1, 29))
    (source / "green_tripdata_2020-01.csv").write_text(header + rows)
    done = launch("run", "green", "2020-01", environment=settings(tmp_path, TAXI_SOURCE=str(source)))

    (told,) = [line for line in done.stdout.splitlines() if "known_columns_only" in line]
    assert told.split()[0] == "warns"
    assert "new_one" in told


def test_a_program_gets_one_document_and_nothing_else(tmp_path: Path) -> None:
    done = launch("run", "green", "2020-01", "--json", environment=settings(tmp_path))
    told = json.loads(done.stdout)

    assert done.returncode == 0
    assert (told["command"], told["status"], told["subject"]) == ("run", "done", "green 2020-01")
    rows = {it["name"]: it["rows"] for it in told["layers"]}
    assert rows["raw"] == rows["cleaned"] + rows["quarantine"] == 500
    assert all(it["passed"] for it in told["checks"] if it["blocks"])


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["run", "green", "2020-01", "--source={}"], 1, {"status": "failed", "command": "run"}),
        (["run", "purple", "2020-01"], 2, {"status": "refused", "command": "run"}),
    ],
)
def test_a_program_is_told_what_failed_why_and_what_to_do(
    tmp_path: Path, arguments: list[str], status: int, told: dict[str, str]
) -> None:
    (tmp_path / "empty").mkdir()
    asked = [it.format(tmp_path / "empty") for it in arguments]
    done = launch(*asked, "--json", environment=settings(tmp_path))
    document = json.loads(done.stdout)

    assert done.returncode == status
    assert document.items() >= told.items()
    assert document["error"]["what"]
    assert document["error"]["fix"]
    assert len(done.stderr.splitlines()) <= 3


def test_dagsters_own_log_is_shown_to_who_asks_for_it_and_to_nobody_else(tmp_path: Path) -> None:
    quiet = launch("run", "green", "2020-01", environment=settings(tmp_path))
    loud = launch("run", "green", "2020-01", "--verbose", environment=settings(tmp_path))

    assert " - dagster - " not in quiet.stdout + quiet.stderr
    assert " - dagster - INFO - " in loud.stderr
    assert " - dagster - " not in loud.stdout


def test_a_run_config_the_job_does_not_know_is_told_without_a_stack_trace(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("ops: {clean_green_trips: {config: {speed: 3}}}")
    asked = ("run", "green", "2020-01", f"--config={tmp_path}/rules.yaml")
    done = launch(*asked, environment=settings(tmp_path))

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "speed" in done.stderr
    assert len(done.stderr.splitlines()) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_ends_and_says_so(tmp_path: Path, number: int) -> None:
    environ = KEPT | settings(tmp_path, TAXI_SAMPLE_ROWS="3000000")
    command = [sys.executable, "-m", "taxi_platform.cli", "run", "green", "2020-01", "--json"]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=-1, stderr=-1, text=True, process_group=0) as it:
        while not list((tmp_path / "data").glob("raw/green/**/*")) and it.poll() is None:
            time.sleep(0.1)
        os.killpg(it.pid, number) if number == signal.SIGINT else it.send_signal(number)  # as a terminal does
        out, err = it.communicate(timeout=120)

    assert it.returncode == 130, err
    assert json.loads(out)["status"] == "interrupted"
    assert err.startswith("green 2020-01: it was ended before it was done")
    assert len(err.splitlines()) == 3
    assert "Traceback" not in err


def test_a_shell_completes_the_names_of_datasets(tmp_path: Path) -> None:
    environ = KEPT | {"_TAXI_COMPLETE": "complete_bash", "COMP_WORDS": "taxi run fhv", "COMP_CWORD": "2"}
    done = ask(TAXI, environment=environ)

    assert done.stdout.split() == ["fhv", "fhvhv"]


def test_what_is_asked_wrongly_ends_with_status_2() -> None:
    for arguments in (["runn"], ["run", "green"], ["run", "green", "2020-01", "--fast"]):
        assert ask(TAXI, *arguments).returncode == 2


def test_a_terminal_is_shown_what_is_at_work_and_none_of_dagsters_own_log(tmp_path: Path) -> None:
    theirs, ours = reversed(pty.openpty())
    environ = KEPT | settings(tmp_path, TERM="xterm", COLUMNS="120")
    with subprocess.Popen([TAXI, "run", "green", "2020-01"], cwd=ROOT, env=environ, stdout=theirs, stderr=theirs) as it:
        os.close(theirs)
        said = bytearray()
        with suppress(OSError):  # a terminal nobody writes to any more
            while part := os.read(ours, 1 << 16):
                said += part
        assert it.wait(120) == 0
    os.close(ours)

    assert b"starting Dagster" in said
    assert b"checks hold" in said
    assert b" - dagster - " not in said


def test_a_month_is_brought_to_its_end_when_its_reader_goes(tmp_path: Path) -> None:
    script = "set -o pipefail; exec 2>&1; (" + TAXI + " run green 2020-01 || echo failed >&2) 3>&1 | head -1"
    done = ask("bash", "-c", script, environment=KEPT | settings(tmp_path))

    assert done.stdout.split()[0] == "raw"
    assert len(done.stdout.splitlines()) == 1, done.stdout
    assert (tmp_path / "data" / "warehouse.duckdb").exists()


def test_what_a_program_is_told_can_be_written_whatever_a_place_is_called(tmp_path: Path) -> None:
    environ = settings(tmp_path) | {"TAXI_DATA_DIR": str(tmp_path / "año 日"), "PYTHONIOENCODING": "ascii"}
    done = launch("run", "green", "2020-01", "--json", environment=environ)

    assert done.returncode == 0, done.stderr
    assert any("año 日" in it["where"] for it in json.loads(done.stdout)["layers"])
