"""Dagster's folder is made where there is none; a `dagster.yaml` that is somebody else's is read and never written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from taxi_platform import instance
from taxi_platform.core.errors import SettingsError
from taxi_platform.core.machine import RUN_BYTES, Width
from taxi_platform.instance import MARK, prepare
from taxi_platform_tests.test_launch import KEPT, ROOT, launch

THEIRS = "# Ours, and nobody else's.\ntelemetry: {enabled: false}\n"
WHOLE = """
concurrency: {pools: {default_limit: 9}}
run_monitoring: {enabled: true}
run_launcher: {module: taxi_platform.automation.launcher, class: WatchedRunLauncher}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def prepared(home: Path) -> str:
    prepare(home, KEPT | {"DAGSTER_HOME": str(home)})
    return (home / "dagster.yaml").read_text()


@pytest.mark.parametrize(
    "command", ["run", *(pytest.param(it, marks=pytest.mark.campaign) for it in ("references", "follow"))]
)
def test_the_settings_of_somebody_else_are_used_and_never_written(tmp_path: Path, home: Path, command: str) -> None:
    (home / "dagster.yaml").write_text(THEIRS)
    environ = {"TAXI_DATA_DIR": str(tmp_path / "data"), "TAXI_SOURCE": "sample", "DAGSTER_HOME": str(home)}
    given = {"run": ("green", "2020-01"), "references": (), "follow": ("nothing",)}[command]
    outcome = launch(command, *given, environment=environ)

    assert outcome.returncode == (2 if command == "follow" else 0), outcome.stderr
    assert (home / "dagster.yaml").read_text() == THEIRS
    (told,) = (it for it in outcome.stderr.splitlines() if "is not the platform's, and is used as it is" in it)
    assert all(it in told for it in ("concurrency.pools.default_limit", "run_monitoring.enabled", "WatchedRunLauncher"))
    assert (home / "history").exists(), "its runs are there"


def test_an_installed_package_uses_the_instance_there_is(home: Path, tmp_path: Path) -> None:
    """In an image there is the package, and no `deploy/local` beside it."""
    installed = tmp_path / "site-packages"
    shutil.copytree(ROOT / "taxi_platform", installed / "taxi_platform")
    (home / "dagster.yaml").write_text(THEIRS)
    script = (
        "import os, sys; from pathlib import Path; from taxi_platform.instance import prepare\n"
        "home = Path(sys.argv[1]); prepare(home, os.environ | {'DAGSTER_HOME': str(home)})"
    )
    told = {"PYTHONPATH": str(installed), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", script, str(home)], cwd=tmp_path, env=told, check=True)
    assert (home / "dagster.yaml").read_text() == THEIRS
    assert (home / "history").exists()


def test_settings_of_somebody_else_that_lack_nothing_need_no_word(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "dagster.yaml").write_text(WHOLE)
    assert prepared(home) == WHOLE
    assert capsys.readouterr().err == ""


def test_settings_that_are_ours_are_written_anew_and_those_that_were_taken_over_are_not(home: Path) -> None:
    first = prepared(home)
    assert first.startswith(MARK)
    assert re.search(r"max_concurrent_runs: [1-8]\n", first)
    (home / "dagster.yaml").write_text(f"{MARK}telemetry: {{enabled: true}}\n")
    assert "WatchedRunLauncher" in prepared(home)
    (home / "dagster.yaml").write_text(mine := first.removeprefix(MARK))
    assert prepared(home) == mine


def test_settings_an_earlier_version_wrote_without_a_mark_are_ours(home: Path) -> None:
    for name in ("dagster.yaml", ".prepared.yaml"):
        (home / name).write_text(THEIRS)
    assert prepared(home).startswith(MARK)


@pytest.mark.parametrize("told", ["a: [", "just words", "[]", ""])
def test_settings_that_are_none_are_told_in_a_sentence_or_taken_for_empty(home: Path, told: str) -> None:
    (home / "dagster.yaml").write_text(told)
    if told == "a: [":
        with pytest.raises(SettingsError, match="Dagster's settings cannot be read"):
            prepared(home)
    else:
        instance._write_settings(home)  # pyright: ignore[reportPrivateUsage]
    assert (home / "dagster.yaml").read_text() == told


def test_waiting_for_another_start_ends_with_a_word(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "_PATIENCE", 0.1)
    with FileLock(home / ".prepare.lock"), pytest.raises(SettingsError, match="another start has prepared"):
        prepared(home)


def test_a_start_says_how_many_months_at_once_and_why() -> None:
    width = Width(cores=8, memory=4_000_000_000)
    assert str(width) == "4 months at once: 8 cores, 4.0 GB of memory free, 0.9 GB a month"
    assert "max_concurrent_runs: 4\n" in instance.settings_for(width)


@pytest.mark.parametrize(("months", "of_a_backfill"), [(1, 1), (2, 2), (3, 2), (8, 7)])
def test_a_backfill_leaves_a_place_for_the_newest_month_where_that_does_not_halve_it(
    months: int, of_a_backfill: int
) -> None:
    width = Width(cores=8, memory=months * RUN_BYTES)
    runs = yaml.safe_load(instance.settings_for(width))["concurrency"]["runs"]
    assert runs["max_concurrent_runs"] == months
    assert runs["tag_concurrency_limits"] == [{"key": "dagster/backfill", "limit": of_a_backfill}]


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="set TAXI_DATA_DIR to a folder you can write to"):
        prepare(tmp_path / "file" / "home", os.environ)
