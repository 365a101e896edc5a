"""What `taxi` and make were given is judged in three lines at most, before Dagster is started."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from subprocess import PIPE

import pytest

from taxi_platform_tests.typed import typed

ROOT = Path(__file__).parents[1]
#: What the make that runs these tests hands on to them.
_OF_MAKE = {"MFLAGS", "DATASET", "MONTH", "FROM", "TO", "PORT", "SOURCE", "CONFIG", "BACKFILL", "ONLY", "QUICK"}
KEPT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("TAXI_", "DAGSTER_", "PYTEST_", "MAKE")) and name not in _OF_MAKE
}


#: Of a place on this machine.
VARIABLES = ("TAXI_DATA_DIR", "TAXI_WAREHOUSE_URL", "DAGSTER_HOME", "TAXI_LAKE_URL")


def launch(*arguments: str, cwd: Path = ROOT, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return _run([sys.executable, "-m", "taxi_platform.cli", *arguments], cwd, environment)


Typing = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typing:
    """`launch` in this process: half a second less for each of what is refused before anything is started."""
    return lambda *arguments, environment: typed(monkeypatch, capfd, arguments, KEPT | environment)


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return _run(["make", *arguments], ROOT, environment)


def _run(command: list[str], cwd: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environ = KEPT | {"TAXI_SAMPLE_ROWS": "500"} | environment
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (("run", "purple", "2021-01"), {}, ["no dataset 'purple'", "fhv, fhvhv, green, yellow"]),
        (("run", "yellow", "2021-13"), {}, ["'2021-13' is not a month", "YYYY-MM"]),
        (("run", "yellow", "january"), {}, ["'january' is not a month"]),
        (("run", "yellow", "2008-12"), {}, ["yellow_trips", "2008-12 is outside", "2009-01 to the last whole one"]),
        (("run", "green", "2013-07"), {}, ["2013-07 is outside", "2013-08"]),
        (("run", "yellow", "9999-12"), {}, ["9999-12 is outside"]),
        (("run", "yellow", "2021-01", "--config=no/such.yaml"), {}, ["run config cannot be read", "no/such.yaml"]),
        (("run", "yellow", "2021-01"), {"TAXI_SAMPLE_ROWS": "many"}, ["TAXI_SAMPLE_ROWS='many'", "whole number"]),
        (("references",), {"TAXI_SOURCE": "moon"}, ["TAXI_SOURCE='moon'"]),
        (
            ("run", "yellow", "2021-01"),
            {"TAXI_WAREHOUSE_URL": "mysql://u:hunter2@h/d"},
            ["TAXI_WAREHOUSE_URL", "***@h"],
        ),
        (
            ("run", "yellow", "2021-01"),
            {"TAXI_WAREHOUSE_URL": "bigquery://project-1/d?loc=EU"},
            ["option loc", "location="],
        ),
        (("backfill", "green", "2020-03", "2020-01"), {}, ["FROM=2020-03 is after TO=2020-01"]),
        (("backfill", "green", "2020-01", "2020-02", "--source=sample"), {}, ["takes no SOURCE", "make dev"]),
        (("follow", ""), {}, ["which backfill?", "taxi follow …"]),
        (("backfill", "green", "2020-01", "2020-02"), {}, ["no daemon is running", "make dev"]),
    ],
)
def test_what_cannot_be_is_told_in_three_lines_at_most(
    tmp_path: Path, typing: Typing, arguments: tuple[str, ...], environment: dict[str, str], words: list[str]
) -> None:
    environ = {"TAXI_DATA_DIR": str(tmp_path), "TAXI_SOURCE": "sample"} | environment
    outcome = typing(*arguments, environment=environ)

    assert outcome.returncode == 2
    assert outcome.stderr.count("\n") <= 3, outcome.stderr
    assert all(word in outcome.stderr for word in words), outcome.stderr
    assert "hunter2" not in outcome.stderr


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("zero_passenger: warn", ["no rule 'zero_passenger'", "did you mean zero_passengers?"]),
        ("zero_passengers: keep", ["cannot be set to 'keep'", "reject, warn, off"]),
        ("zero_passengers: off", ["without quotes"]),
        ("[", ["run config cannot be read"]),
    ],
)
def test_a_slip_in_a_run_config_is_told_before_anything_is_started(
    tmp_path: Path, typing: Typing, rules: str, words: list[str]
) -> None:
    config = tmp_path / "rules.yaml"
    config.write_text(f"ops: {{clean_yellow_trips: {{config: {{rules: {{{rules}}}}}}}}}")
    environ = {"TAXI_DATA_DIR": str(tmp_path / "data"), "TAXI_SOURCE": "sample"}
    outcome = typing("run", "yellow", "2021-01", f"--config={config}", environment=environ)

    assert outcome.returncode == 2
    assert all(word in outcome.stderr for word in words), outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_data_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = make("run", TAXI_DATA_DIR=str(tmp_path / "file" / "data"))
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("TAXI_DATA_DIR=")


def test_a_source_that_dot_env_contradicts_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TAXI_SOURCE=web\n")
    environ = {"TAXI_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    outcome = launch("references", "--source=sample", cwd=tmp_path, environment=environ)
    assert outcome.returncode == 2
    assert "source 'sample'" in outcome.stderr
    assert ".env says TAXI_SOURCE='web'" in outcome.stderr


def test_a_source_that_does_not_have_the_month_is_told_in_three_lines(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = make("run", "MONTH=2020-05", TAXI_DATA_DIR=str(tmp_path / "data"), SOURCE=str(tmp_path / "empty"))
    what, cause, fix, of_make = outcome.stderr.splitlines()
    assert outcome.returncode == 2
    assert what.startswith("yellow 2020-05: not published by this source at ")
    assert cause.startswith("Cause: TLC publishes a month 48 to 106 days after its end")
    assert fix.startswith("Fix: take an earlier month")
    assert of_make.startswith("make: ***")


@pytest.mark.parametrize(
    "name",
    [
        'a*b[c]{d}%20#e "f" $HOME ñ日\n~ g',
        *(pytest.param(it, marks=pytest.mark.campaign) for it in ("my trips, and Anna's", "f9=77")),
    ],
)
def test_a_data_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    outcome = make("run", TAXI_DATA_DIR=str(folder))
    assert outcome.returncode == 0, outcome.stderr
    assert (folder / "cleaned" / "yellow" / "2021-01.parquet").exists()
    assert (folder / "warehouse.duckdb").exists()
    assert list(tmp_path.iterdir()) == [folder], "something was made beside it"


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    ("name", "reason", "is_refused"),
    [
        ("a?b", "what follows a ?", {"TAXI_DATA_DIR", "TAXI_WAREHOUSE_URL", "DAGSTER_HOME"}),
        ("a\\b", "takes a \\ in", {"TAXI_DATA_DIR", "TAXI_WAREHOUSE_URL"}),
        ("/".join(["x" * 99] * 6), "SQLite takes no more than", {"TAXI_DATA_DIR", "DAGSTER_HOME"}),
        ("/".join(["x" * 99] * 38), "bytes long", set(VARIABLES)),
        ("x" * 256, "bytes long", set(VARIABLES)),
        (os.fsdecode(b"a\xffb"), "not written in UTF-8", set(VARIABLES)),
    ],
)
def test_a_place_some_library_would_not_find_is_refused_before_anything_is_made(
    tmp_path: Path, typing: Typing, variable: str, name: str, reason: str, is_refused: set[str]
) -> None:
    place = str(tmp_path / name)
    environ = {"TAXI_DATA_DIR": str(tmp_path / "data"), "TAXI_SOURCE": "sample"}
    environ[variable] = f"duckdb:///{place}/w.duckdb" if variable == "TAXI_WAREHOUSE_URL" else place
    outcome = typing("follow", "nothing", environment=environ)

    assert outcome.returncode == 2
    if variable in is_refused:
        assert reason in outcome.stderr
        assert outcome.stderr.count("\n") <= 3
        assert list(tmp_path.iterdir()) == []
    else:
        assert "there is no backfill nothing" in outcome.stderr


@pytest.mark.campaign
def test_two_first_runs_at_once_make_one_instance(tmp_path: Path) -> None:
    """Each would make Dagster's tables; two that do it together leave a database no later run can open."""
    command = [sys.executable, "-m", "taxi_platform.cli", "backfill", "green", "2020-01", "2020-01"]
    environ = KEPT | {"TAXI_DATA_DIR": str(tmp_path)}
    starts = [subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for start in starts:
        _, told = start.communicate(timeout=120)
        assert "no daemon is running" in told
    with sqlite3.connect(tmp_path / "dagster" / "history" / "runs.db") as database:
        assert database.execute("SELECT count(*) FROM alembic_version").fetchall() == [(1,)]
    database.close()


def test_two_first_months_at_once_both_arrive(tmp_path: Path) -> None:
    command = ["make", "run", "DATASET=green"]
    environ = KEPT | {"TAXI_DATA_DIR": str(tmp_path), "TAXI_SAMPLE_ROWS": "300"}
    months = ("2020-01", "2020-02")
    with ExitStack() as stack:
        runs = [
            stack.enter_context(
                subprocess.Popen([*command, f"MONTH={it}"], cwd=ROOT, env=environ, stderr=PIPE, text=True)
            )
            for it in months
        ]
        for run in runs:
            _, said = run.communicate(timeout=240)
            assert run.returncode == 0, said
    for month in months:
        assert (tmp_path / "cleaned" / "green" / f"{month}.parquet").exists()


@pytest.mark.campaign
def test_an_instance_made_as_the_readme_says_takes_two_first_jobs_at_once(tmp_path: Path) -> None:
    dagster = str(Path(sys.executable).with_name("dagster"))
    environ = KEPT | {"TAXI_DATA_DIR": str(tmp_path / "data"), "TAXI_SOURCE": "sample", "TAXI_SAMPLE_ROWS": "300"}
    environ["DAGSTER_HOME"] = str(tmp_path)
    subprocess.run([dagster, "instance", "info"], cwd=ROOT, env=environ, capture_output=True, check=True)
    databases = list(tmp_path.rglob("*.db"))
    assert {it.name for it in databases} == {"runs.db", "index.db", "schedules.db"}
    command = [dagster, "job", "execute", "-m", "taxi_platform.definitions", "-j", "taxi_zones_job"]
    with ExitStack() as stack:
        jobs = [
            stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=environ, stderr=PIPE, text=True))
            for _ in range(2)
        ]
        for job in jobs:
            _, said = job.communicate(timeout=240)
            assert job.returncode == 0, said
    for path in databases:
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("SELECT count(*) FROM alembic_version").fetchall() == [(1,)]
    assert "`.venv/bin/dagster instance info` makes them alone" in (ROOT / "README.md").read_text()
