"""The first lines of 151 real files of every era, and real samples: read to the values a plain reader finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxi_platform_tests.core.cleaning import plain
from taxi_platform_tests.core.cleaning.months import CATALOG, REAL_DATA, Outcome, clean_copy

pytestmark = pytest.mark.skipif(not REAL_DATA.exists(), reason="TLC's files are not beside the project")

HEADS = sorted(path.name for path in (REAL_DATA / "heads").glob("*.csv"))
#: The only head whose 1,024 bytes end where a line ends.
ENDS_AT_A_LINE = "fhv_tripdata_2017-05.csv"
SAMPLES = sorted((REAL_DATA / "samples").glob("*/*.csv"))


def official_name(path: Path) -> str:
    return path.name.replace("tripdatasample", "tripdata").replace("_sample", "")


def cleaned(path: Path, folder: Path) -> Outcome:
    """The month; nothing but what is no row at all is turned away."""
    contract = CATALOG.trips[path.name.partition("_")[0]]
    rules = {rule.name: "warn" for rule in contract.rules if rule.name != "unreadable"}
    return clean_copy(path, folder, contract, official_name(path), actions=rules)


def has_the_values_a_plain_reader_finds(outcome: Outcome, path: Path, cut_rows: int = 0) -> bool:
    rows = plain.rows_of(path, path.name.partition("_")[0])
    rows = rows[: len(rows) - cut_rows]
    assert outcome.rows == [{**row, "extra_columns": None} for row in rows]
    return len(rows) > 0


def test_every_head_is_looked_at() -> None:
    assert len(HEADS) == 151
    assert {name.partition("_")[0] for name in HEADS} == CATALOG.trips.keys()


@pytest.mark.parametrize("name", HEADS)
def test_the_first_lines_of_a_real_month_have_the_values_a_plain_reader_finds_and_the_cut_one_is_quarantined(
    name: str, tmp_path: Path
) -> None:
    path = REAL_DATA / "heads" / name
    outcome = cleaned(path, tmp_path)
    last = path.read_bytes().decode("latin-1").split("\n")[-1]

    assert outcome.is_conserved
    assert outcome.unknown_columns == {}
    assert has_the_values_a_plain_reader_finds(outcome, path)
    assert [(row["row_number"], row["broken_rules"], json.loads(row["original"])) for row in outcome.turned_away] == (
        [] if name == ENDS_AT_A_LINE else [(outcome.raw.rows, ["unreadable"], {"line": last})]
    )
    assert bool(last) == (name != ENDS_AT_A_LINE)


@pytest.mark.parametrize(
    "name", [name for name in HEADS if name.startswith("yellow") and name < "yellow_tripdata_2015"]
)
def test_the_words_of_real_months_are_understood_and_kept(name: str, tmp_path: Path) -> None:
    outcome = cleaned(REAL_DATA / "heads" / name, tmp_path)

    assert set(outcome.column("vendor_text")) <= set(plain.VENDORS)
    for text, code in zip(outcome.column("payment_text"), outcome.column("payment_type"), strict=True):
        assert text in plain.PAYMENTS[code]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda it: f"{it.parent.name}-{it.stem}")
def test_a_real_sample_has_the_values_a_plain_reader_finds(path: Path, tmp_path: Path) -> None:
    outcome = cleaned(path, tmp_path)

    assert (outcome.raw.rows, outcome.cleaned.num_rows, outcome.turned_away) == (1_000, 1_000, [])
    assert outcome.unknown_columns == {}
    assert has_the_values_a_plain_reader_finds(outcome, path)


def test_the_samples_are_of_every_dataset_and_some_begin_with_an_index_without_a_name() -> None:
    assert {path.name.partition("_")[0] for path in SAMPLES} == CATALOG.trips.keys()
    assert sum(path.read_text().startswith(",") for path in SAMPLES) == 3


def test_the_truncated_real_month_has_the_values_a_plain_reader_finds(tmp_path: Path) -> None:
    path = REAL_DATA / "dirty" / "yellow_tripdata_2021-01.truncated.csv"
    copy = tmp_path / "yellow_tripdata_2021-01.csv"
    copy.write_bytes(path.read_bytes())
    (tmp_path / "cleaned").mkdir()
    outcome = cleaned(copy, tmp_path / "cleaned")

    (cut,) = outcome.turned_away
    assert (outcome.raw.rows, cut["row_number"]) == (22_793, 22_793)
    assert cut["broken_rules"] == ["unreadable"]
    assert has_the_values_a_plain_reader_finds(outcome, path, cut_rows=1)
