"""However a file names, orders, quotes and types its columns, its rows mean the same."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taxi_platform_tests.core.cleaning.months import TRIP, YELLOW, Outcome, clean_bytes, clean_file

KNOWN = {name for column in YELLOW.columns for name in column.published_names}
INDEXES = ["", "__index_level_0__", "Unnamed: 0", "unnamed: 0 "]
TRIPS = [
    TRIP,
    TRIP | {"passenger_count": "", "RatecodeID": "", "store_and_fwd_flag": "", "congestion_surcharge": ""},
    TRIP | {"passenger_count": "1.0", "VendorID": "2.0", "PULocationID": "265.0", "extra": "-0.5"},
    TRIP | {"tpep_dropoff_datetime": "2041-07-04 12:30:01.000001", "fare_amount": "1e2", "tip_amount": ".5"},
    TRIP | {"passenger_count": "0", "store_and_fwd_flag": "Y"},
    TRIP | {"fare_amount": "#VALUE!"},
    TRIP | {"tpep_pickup_datetime": ""},
]
#: Integer columns and some values of them, by published name.
INTEGERS: dict[str, list[int | None]] = {
    "VendorID": [1, 2, 6, None],
    "passenger_count": [1, None, 9, 3],
    "RatecodeID": [1, 99, None, 5],
    "PULocationID": [1, 265, 132, None],
    "DOLocationID": [None, 264, 1, 2],
    "payment_type": [0, None, 2, 4],
}

cases = st.sampled_from([str, str.upper, str.lower, str.swapcase, str.title])
blanks = st.sampled_from(["", " ", "  "])
names = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=12).filter(
    lambda it: it.strip() and it.strip().casefold() not in KNOWN | set(INDEXES)
)
new_columns = st.dictionaries(names, st.text(st.characters(codec="ascii", min_codepoint=32)), max_size=4).filter(
    lambda it: len({name.strip().casefold() for name in it}) == len(it)
)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def csv_of(rows: list[dict[str, str]], published: dict[str, str], quoting: Any) -> bytes:
    """A CSV of the rows; `published` is the order of its columns and what the header calls them."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator="\n")
    writer.writerow(published.values())
    writer.writerows([[row[name] for name in published] for row in rows])
    return text.getvalue().encode()


def same_rows(outcome: Outcome, expected: Outcome) -> None:
    """The cleaned and the quarantined rows are equal in every canonical column, and in their reasons."""
    known = [it for it in expected.cleaned.column_names if it != "extra_columns"]
    assert outcome.is_conserved
    assert outcome.cleaned.select(known).equals(expected.cleaned.select(known))
    told = ["row_number", "broken_rules", "unreadable_columns", *known]
    assert outcome.quarantine.select(told).equals(expected.quarantine.select(told))


@pytest.fixture(scope="module")
def expected() -> Outcome:
    """The rows as they are read from a plain file."""
    with folder() as it:
        return clean_bytes(it, csv_of(TRIPS, {name: name for name in TRIP}, csv.QUOTE_MINIMAL))


def test_the_rows_that_are_compared_are_of_every_kind(expected: Outcome) -> None:
    assert (expected.cleaned.num_rows, expected.quarantine.num_rows) == (4, 3)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), new=new_columns, quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_the_order_case_blanks_and_quotes_of_a_header_change_nothing_and_new_columns_are_kept(
    expected: Outcome, data: st.DataObject, new: dict[str, str], quoting: Any
) -> None:
    if any('"' in text or "," in text for pair in new.items() for text in pair):
        quoting = csv.QUOTE_ALL  # a file that quotes nothing does not mean quotes by quotes
    order = data.draw(st.permutations([*TRIP, *(f"new {name}" for name in new)]))
    published = {
        name: name.removeprefix("new ")
        if name.startswith("new ")
        else data.draw(blanks) + data.draw(cases)(name) + data.draw(blanks)
        for name in order
    }
    rows = [row | {f"new {name}": value for name, value in new.items()} for row in TRIPS]
    with folder() as it:
        outcome = clean_bytes(it, csv_of(rows, published, quoting))

        same_rows(outcome, expected)
        assert outcome.unknown_columns == dict.fromkeys((it for it in published.values() if it in new), "VARCHAR")
        filled = {name: value for name, value in new.items() if value}
        assert outcome.extras == [filled or None] * 4


@settings(max_examples=15, deadline=None)
@given(data=st.data(), index=st.sampled_from(INDEXES), starts_at=st.integers(0, 2**40))
def test_an_index_column_changes_nothing(expected: Outcome, data: st.DataObject, index: str, starts_at: int) -> None:
    # A column without a name is an index where it comes first; the others are one wherever they are.
    order = data.draw(st.permutations([*TRIP] if index == "" else [*TRIP, "index"]))
    order = ["index", *order] if index == "" else order
    rows = [row | {"index": str(number)} for number, row in enumerate(TRIPS, start=starts_at)]
    with folder() as it:
        outcome = clean_bytes(
            it, csv_of(rows, {name: index if name == "index" else name for name in order}, csv.QUOTE_MINIMAL)
        )

        same_rows(outcome, expected)
        assert outcome.unknown_columns == {}
        assert outcome.extras == [None] * 4


@settings(max_examples=30, deadline=None)
@given(
    types=st.fixed_dictionaries(
        {
            name: st.sampled_from(
                [pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.null()]
            )
            for name in INTEGERS
        }
    ),
    order=st.permutations([*INTEGERS]),
)
@example(types=dict.fromkeys(INTEGERS, pa.int32()), order=list(INTEGERS))
@example(types=dict.fromkeys(INTEGERS, pa.float64()), order=list(INTEGERS))
@example(types=dict.fromkeys(INTEGERS, pa.null()), order=list(INTEGERS))
def test_an_integer_is_the_same_whatever_type_tlc_chose_that_month(
    types: dict[str, pa.DataType], order: list[str]
) -> None:
    def of_type(values: list[int | None], kind: pa.DataType) -> pa.Array:
        return pa.nulls(len(values)) if pa.types.is_null(kind) else pa.array(values, pa.int64()).cast(kind)

    pickups = pa.array([f"2021-01-05 10:00:0{second}" for second in range(4)])
    columns = {name: of_type(INTEGERS[name], types[name]) for name in order}
    with folder() as it:
        path = it / "yellow_tripdata_2021-01.parquet"
        pq.write_table(pa.table({"tpep_pickup_datetime": pickups, **columns}), path)
        outcome = clean_file(path)

        assert outcome.cleaned.schema.equals(YELLOW.arrow_schema)
        assert outcome.turned_away == []
        for name, values in INTEGERS.items():
            nothing = pa.types.is_null(types[name])
            assert outcome.column(YELLOW.published_as(name).name) == ([None] * 4 if nothing else values)
        assert outcome.column("vendor_text") == outcome.column("payment_text") == [None] * 4


@settings(max_examples=30, deadline=None)
@given(
    text=st.text(st.characters(codec="latin-1", exclude_characters='\r\n\x00",'), min_size=1, max_size=8),
    at=st.integers(0, 9),
)
def test_a_latin_1_character_is_kept_as_the_character_it_is(text: str, at: int) -> None:
    flags = ["N"] * 10
    flags[at] = f"é{text}\xa0ÿ"
    rows = [TRIP | {"store_and_fwd_flag": flag, "Zoné": flag} for flag in flags]
    header = {name: name for name in rows[0]}
    with folder() as it:
        content = csv_of(rows, header, csv.QUOTE_MINIMAL).decode().encode("latin-1")
        outcome = clean_bytes(it, content)

        assert outcome.raw.encoding == "latin-1"
        assert outcome.column("store_and_fwd_flag") == flags
        assert outcome.extras == [{"Zoné": flag} for flag in flags]
        assert outcome.unknown_columns == {"Zoné": "VARCHAR"}
