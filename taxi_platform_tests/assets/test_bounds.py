"""What a run writes into its log and its events is bounded, whatever the file holds; the data is whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.assets.metadata import preview
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.showing import LONGEST_VALUE, MOST_NAMED
from taxi_platform.core.source.sample import write_parquet_month
from taxi_platform_tests.assets.months import trips, write_green
from taxi_platform_tests.assets.platform import Platform, check_of, figures_of, metadata_of

MONTH = "2021-01"
HUGE = "N" * 3_000_000


def run_for_real(tmp_path: Path) -> tuple[str, int]:
    """Run the month as `dagster job execute` does.

    Returns:
        What it printed, and the bytes of its event databases.
    """
    home = tmp_path / "home"
    home.mkdir()
    job = ["-m", "taxi_platform.definitions", "-j", "green_trips_job"]
    done = subprocess.run(
        [
            Path(sys.executable).with_name("dagster"),
            "job",
            "execute",
            *job,
            "--tags",
            f'{{"dagster/partition": "{MONTH}"}}',
        ],
        cwd=Path(__file__).parents[2],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "DAGSTER_HOME": str(home),
            "TAXI_DATA_DIR": str(tmp_path / "data"),
            "TAXI_SOURCE": str(tmp_path / "source"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:]
    return done.stdout, sum(it.stat().st_size for it in home.rglob("*.db"))


@pytest.mark.parametrize("name", ["store_and_fwd_flag", "a column of no contract"])
def test_a_field_of_megabytes_is_whole_in_the_data_and_cut_in_the_log_and_the_events(name: str, tmp_path: Path) -> None:
    write_green(tmp_path / "source", [{**row, name: "N"} for row in trips(*[{}] * 59)] + [{**trips({})[0], name: HUGE}])

    log, events = run_for_real(tmp_path)

    assert len(log) < 100_000
    assert "N… (3,000,000 characters)" in log
    assert events < 2_000_000
    kept = pq.read_table(tmp_path / "data" / "cleaned" / "green" / f"{MONTH}.parquet").to_pylist()[-1]
    assert (kept.get(name) or json.loads(kept["extra_columns"])[name]) == HUGE


def test_a_thousand_columns_of_no_contract_are_told_by_a_few_names_and_a_number(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "source").mkdir()
    path = tmp_path / "source" / "green_tripdata_2025-01.parquet"
    write_parquet_month(load_catalog().trips["green"], Month(2025, 1), 20, path)
    table = pq.read_table(path)
    for number in range(1_200):
        table = table.append_column(f"surprise {number}", pa.array([str(number)] * 20))
    pq.write_table(table, path)

    result = Platform(tmp_path / "data", source=str(tmp_path / "source")).run("green_trips_job", "2025-01")

    about = metadata_of(result, "cleaned", "green_trips")
    assert about["columns the contract does not know"].endswith(f"surprise {MOST_NAMED - 1}, and 1,180 more")
    lineage = about["dagster/column_lineage"].deps_by_column["extra_columns"]
    assert len(lineage) == MOST_NAMED + 1
    assert "and 1,180 more" in {it.column_name for it in lineage}
    assert len(figures_of(check_of(result, "known_columns_only"))) == MOST_NAMED + 1
    log = capfd.readouterr().err
    assert "surprise 19, and 1,180 more" in log
    assert "surprise 20" not in log
    assert max(map(len, log.splitlines())) < 5_000


def test_a_preview_is_cut_in_length_and_in_width_and_shows_no_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "anybodys.parquet"
    values = {'it\'s "long"': [HUGE], "bytes": [b"\x00\x1b[2J" * 1_000], "text": ["\x1b[2J"], "": ["no name"]}
    pq.write_table(pa.table({**values, **{f"x{number}": [number] for number in range(3_000)}}), path)

    shown = preview(ParquetFile(path))

    (record,) = shown.records
    assert len(record.data) == len(shown.schema.columns) == 100
    assert record.data['it\'s "long"'] == "N" * LONGEST_VALUE + "… (3,000,000 characters)"
    assert record.data["text"] == r"\x1b[2J"
    assert all(str(it).isprintable() for it in record.data.values())
    assert sum(len(str(it)) for it in record.data.values()) < 2_000
