"""What make is given is a value: none of it is run by make or by a shell, and it arrives as it was written."""

import re
import subprocess
from pathlib import Path

import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month
from taxi_platform_tests.test_launch import KEPT, ROOT

#: What a shell, make or Python's own reader of arguments might take for something else; `{}` is a file it would make.
EVIL = """-x'; touch {0}; echo "$(touch {0})" `touch {0}` $(shell touch {0}) $$ $y \\ # é\ntouch {0}"""
RULES = "ops: {clean_green_trips: {config: {rules: {zero_passengers: warn}}}}"


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = KEPT | {"TAXI_DATA_DIR": str(folder / "data"), "TAXI_SAMPLE_ROWS": "300"} | environment
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("by", ["command line", pytest.param("environment", marks=pytest.mark.campaign)])
@pytest.mark.parametrize(
    ("target", "variable"),
    [
        ("run", "DATASET"),
        ("run", "MONTH"),
        ("run", "SOURCE"),
        ("run", "CONFIG"),
        ("backfill", "MONTH"),
        ("backfill", "FROM"),
        ("backfill", "TO"),
        ("dev", "PORT"),
        ("follow", "BACKFILL"),
        ("cancel", "BACKFILL"),
        ("bench", "ONLY"),
        ("test-faults", "FAULTS_SEED"),
        ("zones", "TAXI_SAMPLE_ROWS"),
    ],
)
def test_a_value_is_refused_as_it_was_written_and_nothing_in_it_is_run(
    tmp_path: Path, target: str, variable: str, by: str
) -> None:
    value = EVIL.format(tmp_path / "made")
    if by == "environment":
        done = make(tmp_path, target, **{variable: value})
    else:
        done = make(tmp_path, target, f"{variable}={value}")

    said = done.stdout + done.stderr
    ways = (value, repr(value)[1:-1], value.replace("\n", "\\n"))
    assert done.returncode == 2, said
    assert any("".join(it.split()) in "".join(said.split()) for it in ways), said
    assert "Traceback" not in said
    assert not (tmp_path / "made").exists()


@pytest.mark.usefixtures("dagster_is_there")
@pytest.mark.parametrize(
    "name",
    [
        "it's",
        "-rf; ls `id` #1",
        *(pytest.param(it, marks=pytest.mark.campaign) for it in ("two words", "an “año” $HOME")),
    ],
)
def test_a_folder_and_a_run_config_of_any_name_are_found(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    write_month(load_catalog().trips["green"], Month.parse("2020-01"), 300, folder / "green_tripdata_2020-01.csv.gz")
    (folder / f"{name}.yaml").write_text(RULES)

    done = make(tmp_path, "run", "DATASET=green", "MONTH=2020-01", f"SOURCE={folder}", f"CONFIG={folder}/{name}.yaml")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "cleaned" / "green" / "2020-01.parquet").exists()


@pytest.mark.usefixtures("dagster_is_there")
def test_a_source_folder_may_be_named_like_a_pattern_a_url_or_a_partition(tmp_path: Path) -> None:
    folder = tmp_path / "a?b*[c]{d}\\e%20#" / "line=77"
    folder.mkdir(parents=True)
    write_month(load_catalog().trips["green"], Month.parse("2020-01"), 300, folder / "green_tripdata_2020-01.csv.gz")

    done = make(tmp_path, "run", "DATASET=green", "MONTH=2020-01", f"SOURCE={folder}")

    assert done.returncode == 0, done.stderr
    assert re.search(r"raw +300 rows", done.stdout)


def test_a_run_config_that_dagster_would_take_for_a_pattern_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "rules[1].yaml").write_text(RULES)

    done = make(tmp_path, "run", "DATASET=green", "MONTH=2020-01", f"CONFIG={tmp_path}/rules[1].yaml")

    assert done.returncode == 2
    assert f"the run config cannot be read at {tmp_path}/rules[1].yaml" in done.stderr


def test_from_is_the_month_and_to_is_from_unless_they_are_given(tmp_path: Path) -> None:
    assert "'1999-13'" in make(tmp_path, "backfill", "MONTH=1999-13").stderr
    assert "FROM=2020-03 is after TO=2020-01" in make(tmp_path, "backfill", "FROM=2020-03", "TO=2020-01").stderr


def test_no_recipe_has_a_value_pasted_into_it() -> None:
    recipes = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("\t@")]
    expanded = {word.partition(")")[0] for line in recipes for word in line.replace("$$", "").split("$(")[1:]}

    assert len(recipes) > 15
    assert expanded == {"BIN", "TAXI", "UV"}
