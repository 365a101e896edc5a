"""Words instead of codes, as TLC published them from 2009 to 2014: every spelling becomes its code, and is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog.model import TripContract
from taxi_platform_tests.core.cleaning.months import YELLOW, Outcome, clean_file, clean_lines, with_columns
from taxi_platform_tests.core.cleaning.plain import PAYMENTS, VENDORS

SPELLINGS = [(spelling, code) for code, spellings in PAYMENTS.items() for spelling in spellings]


def clean_words(folder: Path, edition: str, vendors: list[str], payments: list[str]) -> Outcome:
    """A month of 2010 with these vendors and ways of paying, row by row."""
    if edition == "csv":
        lines = [f"{vendor},2010-01-05 10:00:00,{payment}" for vendor, payment in zip(vendors, payments, strict=True)]
        header = "vendor_id,pickup_datetime,payment_type"
        return clean_lines(folder, lines, header, name="yellow_tripdata_2010-01.csv", key="2010-01")
    path = folder / "yellow_tripdata_2010-01.parquet"
    pickups = ["2010-01-05 10:00:00"] * len(vendors)
    pq.write_table(pa.table({"vendor_id": vendors, "pickup_datetime": pickups, "payment_type": payments}), path)
    return clean_file(path, key="2010-01")


either_edition = pytest.mark.parametrize("edition", ["csv", "parquet"])


@either_edition
def test_every_spelling_of_a_way_of_paying_becomes_its_code_and_is_kept(edition: str, tmp_path: Path) -> None:
    spellings = [spelling for spelling, _ in SPELLINGS]
    outcome = clean_words(tmp_path, edition, ["CMT"] * len(spellings), spellings)

    assert dict(zip(spellings, outcome.column("payment_type"), strict=True)) == dict(SPELLINGS)
    assert outcome.column("payment_text") == spellings


@either_edition
def test_every_vendor_becomes_its_code_and_is_kept_even_the_one_that_has_none(edition: str, tmp_path: Path) -> None:
    vendors = list(VENDORS)
    outcome = clean_words(tmp_path, edition, vendors, ["CSH"] * len(vendors))

    assert outcome.column("vendor_id") == list(VENDORS.values()) == [1, 2, None]
    assert outcome.column("vendor_text") == vendors
    assert outcome.turned_away == []


@either_edition
def test_a_word_nobody_knows_keeps_its_row_and_is_kept(edition: str, tmp_path: Path) -> None:
    outcome = clean_words(tmp_path, edition, ["ACME", "vts", " CMT "], ["Bitcoin", "cash", " Csh"])

    assert outcome.turned_away == []
    assert outcome.column("vendor_id") == [None, 2, 1]
    assert outcome.column("vendor_text") == ["ACME", "vts", "CMT"]
    assert outcome.column("payment_type") == [None, 2, 2]
    assert outcome.column("payment_text") == ["Bitcoin", "cash", "Csh"]
    assert outcome.unknown_columns == {}


@either_edition
def test_a_code_is_no_word(edition: str, tmp_path: Path) -> None:
    outcome = clean_words(tmp_path, edition, ["1", "2.0", ""], ["2", "", "0"])

    assert outcome.column("vendor_id") == [1, 2, None]
    assert outcome.column("payment_type") == [2, None, 0]
    assert outcome.column("vendor_text") == outcome.column("payment_text") == [None] * 3
    assert outcome.turned_away == []


@either_edition
@pytest.mark.parametrize("text", ["1.5", "99999999999", "nan", "inf"])
def test_a_number_that_is_no_code_is_unreadable_and_not_lost(edition: str, text: str, tmp_path: Path) -> None:
    outcome = clean_words(tmp_path, edition, ["CMT", "CMT"], ["CSH", text])

    (row,) = outcome.turned_away
    assert (row["row_number"], row["broken_rules"], row["unreadable_columns"]) == (
        2,
        ["unreadable", "missing_passengers"],
        ["payment_type"],
    )
    assert json.loads(row["original"])["payment_type"] == text


@pytest.mark.parametrize("number", [1.5, 3e10])
def test_a_double_that_is_no_code_is_unreadable_and_not_lost(number: float, tmp_path: Path) -> None:
    path = tmp_path / "yellow_tripdata_2011-01.parquet"
    pq.write_table(pa.table({"tpep_pickup_datetime": ["2011-01-05"] * 2, "payment_type": [1.0, number]}), path)
    outcome = clean_file(path, key="2011-01")

    assert outcome.column("payment_type") == [1]
    assert [row["unreadable_columns"] for row in outcome.turned_away] == [["payment_type"]]


def test_words_of_a_rejected_row_are_in_the_quarantine_too(tmp_path: Path) -> None:
    outcome = clean_lines(
        tmp_path,
        ["2009-01-04 02:52:00,VTS,0,Credit"],
        "Trip_Pickup_DateTime,vendor_name,Passenger_Count,Payment_Type",
        name="yellow_tripdata_2009-01.csv",
        key="2009-01",
    )

    (row,) = outcome.turned_away
    assert (row["vendor_id"], row["vendor_text"], row["payment_type"], row["payment_text"]) == (2, "VTS", 1, "Credit")


def contract_with_words(texts: dict[str, int | None]) -> TripContract:
    """Yellow, with other words for ways of paying."""
    return with_columns(
        YELLOW,
        tuple(it.model_copy(update={"texts": texts}) if it.name == "payment_type" else it for it in YELLOW.columns),
    )


@pytest.mark.parametrize(
    ("texts", "expected"), [({"FLEX": 0}, 0), ({"FLEX": None}, None), ({'it\'s "FLEX"': 3, "FLEX": 6}, 6)]
)
def test_any_code_may_have_a_word_the_code_zero_too(
    texts: dict[str, int | None], expected: int | None, tmp_path: Path
) -> None:
    contract = contract_with_words(texts)
    outcome = clean_lines(tmp_path, ["2021-01-05,flex"], "tpep_pickup_datetime,payment_type", contract=contract)

    assert outcome.column("payment_type") == [expected]
    assert outcome.column("payment_text") == ["flex"]
