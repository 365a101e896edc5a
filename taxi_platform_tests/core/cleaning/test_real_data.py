"""TLC's own files, where they lie beside the project: known counts, and the values an independent reader finds."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from taxi_platform_tests.core.cleaning.months import GREEN, REAL_DATA, YELLOW, clean_copy
from taxi_platform_tests.core.cleaning.plain import columns_of

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
    assert outcome.unknown_columns == {}
    assert outcome.cleaned.schema.equals(GREEN.arrow_schema)


def test_every_file_of_the_folder_has_its_known_counts() -> None:
    assert {path.name for path in (REAL_DATA / "trips").iterdir()} == set(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_every_value_of_a_real_month_is_the_one_an_independent_reader_finds(name: str, tmp_path: Path) -> None:
    outcome = clean_copy(REAL_DATA / "trips" / name, tmp_path, GREEN, actions={"zero_passengers": "warn"})
    published = independent_reading(REAL_DATA / "trips" / name)

    assert outcome.turned_away == []
    read: list[str] = []
    for column, (kind, names) in columns_of("green").items():
        ours, found = outcome.cleaned[column], [name for name in published.column_names if name in names]
        read += found
        if kind == "origin":
            assert set(ours.to_pylist()) == {"published"}, "no trip of these months lacks both of its zones"
        elif not found:
            assert ours.null_count == len(ours)
        elif kind == "text":
            assert ours.to_pylist() == [text or None for text in published[found[0]].to_pylist()]
        else:
            assert ours.equals(published[found[0]].cast(ours.type)), column
    assert sorted(read) == sorted(published.column_names)


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
