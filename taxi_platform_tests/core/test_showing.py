"""What people are shown is bounded and printable, whatever came in; and says how much it was."""

from __future__ import annotations

import duckdb
import pytest

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.showing import LONGEST_TEXT, LONGEST_VALUE, MOST_NAMED, cut_in_sql, escaped, listed, shown, told

HUGE = "x" * 3_000_000


def test_a_long_value_is_cut_with_a_mark_that_says_how_long_it_was() -> None:
    assert shown(HUGE) == "x" * LONGEST_VALUE + "… (3,000,000 characters)"
    assert shown("x" * LONGEST_VALUE) == "x" * LONGEST_VALUE


@pytest.mark.parametrize("text", [HUGE, "x" * LONGEST_VALUE, "é" * (LONGEST_VALUE + 1), "short", ""])
def test_sql_cuts_as_python_does(text: str) -> None:
    (row,) = duckdb.execute(f"SELECT {cut_in_sql('text')} FROM (SELECT ?::VARCHAR AS text)", [text]).fetchall()
    assert row == (shown(text),)


def test_a_null_stays_a_null_when_it_is_cut() -> None:
    assert duckdb.execute(f"SELECT {cut_in_sql('NULL::VARCHAR')}").fetchall() == [(None,)]


@pytest.mark.parametrize(
    ("raw", "readable"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("two\nlines\t\r", r"two\nlines\t\r"),
        ("\ud800", r"\ud800"),
        ("pay\u202eees", r"pay\u202eees"),
        ("Zoë — 東京 'ok'", "Zoë — 東京 'ok'"),
    ],
)
def test_what_is_not_printed_is_escaped(raw: str, readable: str) -> None:
    assert escaped(raw) == shown(raw) == readable


def test_of_many_names_the_first_are_told_and_how_many_more_there_are() -> None:
    assert listed(f"c{number}" for number in range(1_200)).endswith(f"c{MOST_NAMED - 1}, and 1,180 more")
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == ""


def test_a_list_of_long_names_is_no_longer_than_a_sentence() -> None:
    said = listed([HUGE] * 1_200)
    assert len(said) < LONGEST_TEXT + 50
    assert said.endswith(" more")


def test_an_error_told_of_megabytes_and_bytes_that_are_no_text_is_a_sentence() -> None:
    error = TaxiPlatformError(
        f"no column {HUGE}", about=HUGE, where=HUGE, cause=f"PK\x03\x04\x00{HUGE}\nand more", fix=f"rename {HUGE}"
    )
    assert len(str(error)) < 5 * LONGEST_TEXT
    assert r"PK\x03\x04\x00xxx" in str(error)
    assert "3,000,000 characters" in str(error)
    assert error.cause is not None
    assert "\x00" not in error.cause


def test_the_lines_of_what_a_program_says_stay_lines() -> None:
    assert told("first\n\tsecond\x00") == "first\n\tsecond\\x00"
