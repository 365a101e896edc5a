"""What `make run` was given is judged in one line, before Dagster is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = {name: value for name, value in os.environ.items() if not name.startswith("TAXI_")}


def preflight(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "taxi_platform.preflight", *arguments],
        cwd=ROOT,
        env=SETTINGS | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("arguments", [("yellow", "2021-01"), ("green", "2013-08")])
def test_a_month_that_can_be_is_passed_without_a_word(arguments: tuple[str, str]) -> None:
    outcome = preflight(*arguments, TAXI_SOURCE="sample")

    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (("purple", "2021-01"), {}, ["no dataset 'purple'", "green, yellow"]),
        (("", "2021-01"), {}, ["no dataset ''", "green, yellow"]),
        (("yellow", "2021-13"), {}, ["'2021-13' is not a month", "YYYY-MM"]),
        (("yellow", "january"), {}, ["'january' is not a month"]),
        (("yellow", "2008-12"), {}, ["yellow_trips", "2008-12 is outside", "2009-01 to the last whole one"]),
        (("green", "2013-07"), {}, ["2013-07 is outside", "2013-08"]),
        (("yellow", "9999-12"), {}, ["9999-12 is outside"]),
        (("yellow", "2021-01"), {"TAXI_SAMPLE_ROWS": "many"}, ["TAXI_SAMPLE_ROWS='many'", "whole number"]),
        (("purple", "2021-01"), {"TAXI_SOURCE": "moon"}, ["TAXI_SOURCE='moon'"]),
        (("yellow", "2021-01"), {"TAXI_WAREHOUSE_URL": "mysql://u:hunter2@h/d"}, ["TAXI_WAREHOUSE_URL", "u:***@h"]),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    arguments: tuple[str, str], environment: dict[str, str], words: list[str]
) -> None:
    outcome = preflight(*arguments, **environment)

    assert outcome.returncode == 2
    assert outcome.stderr.count("\n") == 1
    assert all(word in outcome.stderr for word in words), outcome.stderr
    assert "hunter2" not in outcome.stderr


def test_a_preflight_does_not_wait_for_dagster() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, taxi_platform.preflight; print('dagster' in sys.modules)"],
        cwd=ROOT,
        env=SETTINGS,
        check=True,
        capture_output=True,
        text=True,
    )

    assert loaded.stdout.strip() == "False"
