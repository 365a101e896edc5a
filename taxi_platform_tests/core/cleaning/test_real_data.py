"""TLC's own files, where they lie beside the project: known counts, and the values an independent reader finds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog.model import ColumnType, TripContract
from taxi_platform_tests.core.cleaning.months import CATALOG, GREEN, REAL_DATA, YELLOW, Outcome, clean_file

pytestmark = pytest.mark.skipif(not REAL_DATA.exists(), reason="TLC's files are not beside the project")

#: File to rows, rows without passengers, rows whose passenger count is null.
KNOWN = {
    "green_tripdata_2020-03.csv.gz": (223_406, 294, 47_119),
    "green_tripdata_2020-04.csv.gz": (35_612, 132, 11_110),
    "green_tripdata_2020-04.parquet": (35_644, 132, 11_142),
    "green_tripdata_2020-05.csv.gz": (57_360, 152, 26_074),
    "green_tripdata_2020-10.csv.gz": (95_120, 259, 42_510),
    "green_tripdata_2020-11.csv.gz": (88_605, 192, 40_114),
    "green_tripdata_2020-12.csv.gz": (83_130, 210, 36_838),
    "green_tripdata_2021-01.parquet": (76_518, 147, 36_047),
    "green_tripdata_2023-01.parquet": (68_211, 336, 4_324),
    "green_tripdata_2023-03.parquet": (72_044, 460, 4_537),
    "green_tripdata_2024-01.parquet": (56_551, 512, 3_415),
    "green_tripdata_2025-01.parquet": (48_326, 647, 1_836),
}


def clean_copy(source: Path, folder: Path, contract: TripContract, name: str = "", **options: object) -> Outcome:
    path = folder / (name or source.name)
    shutil.copyfile(source, path)
    month = path.name.partition(".")[0][-7:]
    return clean_file(path, contract, month, **options)  # pyright: ignore[reportArgumentType]


def independent_reading(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    return pa_csv.read_csv(path)


@pytest.mark.parametrize("name", KNOWN)
def test_a_real_month_gives_the_known_counts(name: str, tmp_path: Path) -> None:
    rows, zero, missing = KNOWN[name]
    outcome = clean_copy(REAL_DATA / "trips" / name, tmp_path, GREEN)

    assert outcome.raw.rows == rows
    assert outcome.is_conserved
    assert outcome.month.cleaned.rows == rows - zero
    assert outcome.counts()["zero_passengers"] == (zero, 0)
    assert outcome.counts()["missing_passengers"] == (0, missing)
    assert outcome.month.unknown_columns == ()
    assert outcome.cleaned.schema.equals(GREEN.arrow_schema)


def test_every_file_of_the_folder_has_its_known_counts() -> None:
    assert {path.name for path in (REAL_DATA / "trips").iterdir()} == set(KNOWN)


@pytest.mark.parametrize(
    "name",
    [
        "green_tripdata_2020-04.csv.gz",
        "green_tripdata_2020-12.csv.gz",
        "green_tripdata_2021-01.parquet",
        "green_tripdata_2025-01.parquet",
    ],
)
def test_every_column_has_the_values_an_independent_reader_finds(name: str, tmp_path: Path) -> None:
    outcome = clean_copy(REAL_DATA / "trips" / name, tmp_path, GREEN, actions={"zero_passengers": "warn"})
    published = independent_reading(REAL_DATA / "trips" / name)
    by_name = {column.lower(): published[column] for column in published.column_names}

    compared = 0
    for column in GREEN.columns:
        ours = outcome.cleaned[column.name]
        theirs = next((by_name[it] for it in column.published_names if it in by_name), None)
        if theirs is None or pa.types.is_null(theirs.type):
            assert ours.null_count == len(ours)
            continue
        compared += 1
        if column.type is ColumnType.STRING:
            assert ours.to_pylist() == [text or None for text in theirs.to_pylist()]
        elif column.type is ColumnType.TIMESTAMP:
            assert ours.equals(theirs.cast(pa.timestamp("us")))
        else:
            assert ours.null_count == theirs.null_count
            expected = pc.sum(theirs.cast(pa.float64()), min_count=0).as_py()
            assert pc.sum(ours, min_count=0).as_py() == pytest.approx(expected, rel=1e-12)
    assert compared >= 19


def test_a_truncated_real_month_loses_nothing_but_says_what_was_cut(tmp_path: Path) -> None:
    source = REAL_DATA / "dirty" / "yellow_tripdata_2021-01.truncated.csv"
    last_line = source.read_text().splitlines()[-1]
    outcome = clean_copy(source, tmp_path, YELLOW, "yellow_tripdata_2021-01.csv")

    assert outcome.raw.rows == 22_793
    assert outcome.is_conserved
    *whole, cut = outcome.turned_away
    assert len(whole) + outcome.month.cleaned.rows == 22_792
    assert all("zero_passengers" in row["broken_rules"] for row in whole)
    frame = pd.read_csv(source, nrows=22_792)
    assert len(whole) == (frame["passenger_count"] == 0).sum()
    assert [row["row_number"] for row in whole] == (frame.index[frame["passenger_count"] == 0] + 1).tolist()
    assert (cut["row_number"], cut["broken_rules"]) == (22_793, ["unreadable"])
    assert json.loads(cut["original"]) == {"line": last_line}


@pytest.mark.parametrize("dataset", ["yellow", "green"])
def test_a_real_sample_with_a_quoted_header_is_read_whole(dataset: str, tmp_path: Path) -> None:
    source = REAL_DATA / "samples" / "tlc_2020-04_1000rows" / f"{dataset}_tripdatasample_2020-04.csv"
    name = f"{dataset}_tripdata_2020-04.csv"
    outcome = clean_copy(source, tmp_path, CATALOG.trips[dataset], name, actions={"zero_passengers": "warn"})

    frame = pd.read_csv(source)
    assert outcome.month.cleaned.rows == len(frame) == 1_000
    assert outcome.month.unknown_columns == ()
    assert outcome.column("fare_amount") == frame["fare_amount"].tolist()
    assert set(outcome.column("store_and_fwd_flag")) <= {"Y", "N", None}


@pytest.mark.parametrize(
    "name",
    sorted(
        path.name
        for path in (REAL_DATA / "heads").glob("*_tripdata_20*.csv")
        if path.name.partition("_")[0] in CATALOG.trips and path.stem[-7:] >= "2019-01"
    ),
)
def test_the_first_lines_of_a_real_month_are_read_and_the_cut_one_is_quarantined(name: str, tmp_path: Path) -> None:
    source = REAL_DATA / "heads" / name
    outcome = clean_copy(source, tmp_path, CATALOG.trips[name.partition("_")[0]], actions={"zero_passengers": "warn"})

    *whole, cut = [line for line in source.read_text().split("\n")[1:] if line.strip()]
    assert outcome.is_conserved
    assert outcome.month.cleaned.rows == len(whole) > 0
    assert json.loads(outcome.turned_away[0]["original"]) == {"line": cut}
