"""Lines that are not what they should be: each is quarantined for itself, and the rows around it are read as ever."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from taxi_platform.core.cleaning import clean, reading
from taxi_platform.core.cleaning.csv_reading import line_table
from taxi_platform.core.errors import DiskFullError, TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform_tests.core.cleaning.months import (
    HEADER,
    TRIP,
    YELLOW,
    Outcome,
    clean_bytes,
    clean_lines,
    raw_file,
    trip,
)
from taxi_platform_tests.disks import disk

QUOTED_HEADER = ",".join(f'"{name}"' for name in TRIP)
LINE_ENDS = pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])


def quoted(**changes: str) -> str:
    return ",".join(f'"{value}"' for value in (TRIP | changes).values())


def lines_turned_away(outcome: Outcome) -> list[tuple[int, str]]:
    """Number and text of every quarantined line, each of which must be there as `unreadable`."""
    assert all(row["broken_rules"] == ["unreadable"] for row in outcome.turned_away)
    return [(row["row_number"], json.loads(row["original"])["line"]) for row in outcome.turned_away]


def quarantine_by_hand(content: str) -> dict[int, str]:
    """An independent reading: number to line of the data rows that do not have as many fields as the header."""
    header, *lines = [line.rstrip("\r") for line in content.split("\n") if line.rstrip("\r")]
    cut = len(lines) if "\r\n" in content and not content.endswith("\n") else None
    return {
        number: line
        for number, line in enumerate(lines, start=1)
        if number == cut or len(line.split(",")) != len(header.split(","))
    }


@LINE_ENDS
@pytest.mark.parametrize(
    "line",
    ["1", "1,2021-01-05 10:00:00", trip() + ",1", trip() + "," * 30 + "1", ",".join("x" * 400)],
    ids=["one field", "too few", "too many", "many too many", "hundreds"],
)
def test_a_line_with_too_few_or_too_many_fields_is_quarantined(line: str, end: str, tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(), line, trip(extra="1")], end=end)

    assert lines_turned_away(outcome) == [(2, line)]
    assert outcome.column("extra") == [3.0, 1.0]
    assert outcome.counts() == {"unreadable": (1, 0)}
    values = {name for name, value in outcome.turned_away[0].items() if value is not None}
    assert values == {
        "row_number", "broken_rules", "unreadable_columns", "source_file", "contract_version", "original",
    }  # fmt: skip


@pytest.mark.parametrize("before", [[], [trip(), "", "cut"]], ids=["DuckDB's reader", "line reader"])
def test_commas_too_many_at_the_end_of_a_line_say_nothing(before: list[str], tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [*before, trip(extra="0"), trip(extra="1") + ",,", trip(extra="2")])

    assert outcome.column("extra")[-3:] == [0.0, 1.0, 2.0]
    assert outcome.is_conserved


@pytest.mark.parametrize("name", ["yellow_tripdata_2021-01.csv", "yellow_tripdata_2021-01.csv.gz"])
@LINE_ENDS
def test_a_last_line_that_is_cut_is_quarantined(end: str, name: str, tmp_path: Path) -> None:
    cut = trip()[:40]
    outcome = clean_bytes(tmp_path, end.join([HEADER, trip(), cut]).encode(), name)

    assert lines_turned_away(outcome) == [(2, cut)]
    assert len(outcome.rows) == 1


@pytest.mark.parametrize(
    ("end", "last_end"),
    [("\n", "\n"), ("\n", ""), ("\r\n", "\r\n"), ("\r\n", "\r"), ("\n", "\r\n")],
    ids=["LF, ended", "LF, not ended", "CRLF, ended", "CRLF, half ended", "LF, ended with CRLF"],
)
def test_a_last_line_that_is_whole_is_a_row(end: str, last_end: str, tmp_path: Path) -> None:
    outcome = clean_bytes(tmp_path, (end.join([HEADER, trip(), trip(extra="1")]) + last_end).encode())

    assert outcome.column("extra") == [3.0, 1.0]
    assert outcome.turned_away == []


@pytest.mark.parametrize("name", ["yellow_tripdata_2021-01.csv", "yellow_tripdata_2021-01.csv.gz"])
@pytest.mark.parametrize("before", [[trip()], [trip(), "x,y"], [trip(), "", "x,y"]], ids=["tidy", "malformed", "blank"])
def test_where_lines_end_with_crlf_a_last_line_without_end_was_cut_however_many_fields_it_has(
    before: list[str], name: str, tmp_path: Path
) -> None:
    cut = trip(congestion_surcharge="2")  # of what was 2.5
    outcome = clean_bytes(tmp_path, "\r\n".join([HEADER, *before, cut]).encode(), name)

    malformed = [line for line in before if line == "x,y"]
    assert lines_turned_away(outcome) == list(enumerate([*malformed, cut], start=2))
    assert outcome.column("congestion_surcharge") == [2.5]
    assert outcome.is_conserved


def test_a_cut_line_that_a_rule_would_reject_is_quarantined_once(tmp_path: Path) -> None:
    content = "\r\n".join([HEADER, trip(passenger_count="0"), trip(passenger_count="0")])
    outcome = clean_bytes(tmp_path, content.encode())

    assert [row["broken_rules"] for row in outcome.turned_away] == [["zero_passengers"], ["unreadable"]]
    assert outcome.counts() == {"unreadable": (1, 0), "zero_passengers": (1, 0)}


@LINE_ENDS
@pytest.mark.parametrize(
    "content",
    [
        ["", HEADER, trip(), "1", trip(passenger_count="0")],
        [HEADER, "", trip(), "1", trip(passenger_count="0")],
        [HEADER, trip(), "", "", "1", "", trip(passenger_count="0"), "", "2"],
        [HEADER, trip(), "1", "2", "3", trip(passenger_count="0"), "4", "", "", ""],
    ],
    ids=["before the header", "after the header", "in the middle", "at the end"],
)
def test_blank_lines_are_no_rows_and_do_not_disturb_the_numbers(content: list[str], end: str, tmp_path: Path) -> None:
    text = end.join([*content, ""])
    outcome = clean_bytes(tmp_path, text.encode())

    malformed = {row["row_number"]: row["original"] for row in outcome.turned_away if "line" in row["original"]}
    assert {number: json.loads(line)["line"] for number, line in malformed.items()} == quarantine_by_hand(text)
    data = [line for line in content if line][1:]
    (zero,) = [row for row in outcome.turned_away if row["broken_rules"] == ["zero_passengers"]]
    assert data[zero["row_number"] - 1] == trip(passenger_count="0")
    assert outcome.is_conserved


def test_rows_are_numbered_as_in_the_file_however_many_lines_before_them_are_malformed(tmp_path: Path) -> None:
    content = [HEADER]
    for number in range(1, 2_001):
        content.append("x,y" if number % 7 == 0 else trip(passenger_count="0" if number % 11 == 0 else "1"))
    outcome = clean_bytes(tmp_path, "\n".join(content).encode())

    expected = [number for number, line in enumerate(content) if number and ("x,y" in line or number % 11 == 0)]
    assert [row["row_number"] for row in outcome.turned_away] == expected
    for row in outcome.turned_away:
        assert ("zero_passengers" in row["broken_rules"]) == (content[row["row_number"]] != "x,y")


@pytest.mark.parametrize("stray", ['N"', '"N', '"', 'a"b"'])
def test_a_stray_quote_in_a_file_without_quotes_is_a_character_like_any_other(stray: str, tmp_path: Path) -> None:
    flags = ["N", "Y", stray, "Y"]
    outcome = clean_lines(tmp_path, [trip(store_and_fwd_flag=flag) for flag in flags])

    assert outcome.column("store_and_fwd_flag") == [flag.strip('"') or None for flag in flags]
    assert outcome.turned_away == []


def test_commas_inside_quotes_belong_to_the_value(tmp_path: Path) -> None:
    lines = [quoted(), quoted(store_and_fwd_flag="a,b"), quoted(store_and_fwd_flag='say ""no""')]
    outcome = clean_lines(tmp_path, lines, QUOTED_HEADER)

    assert outcome.column("store_and_fwd_flag") == ["N", "a,b", 'say "no']
    assert outcome.column("fare_amount") == [8.0] * 3


def test_a_file_may_quote_some_values_and_not_others(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(), quoted(), trip(store_and_fwd_flag='"N"')], QUOTED_HEADER)

    assert outcome.rows[0] == outcome.rows[1] == outcome.rows[2]


@LINE_ENDS
def test_a_quote_that_is_never_closed_costs_its_own_line_only(end: str, tmp_path: Path) -> None:
    broken = quoted().replace('"N"', '"N')
    lines = [quoted(), broken, quoted(extra="1"), quoted(extra="2"), quoted(passenger_count="0")]
    outcome = clean_lines(tmp_path, lines, QUOTED_HEADER, end)

    assert outcome.column("extra") == [3.0, 1.0, 2.0]
    assert [row["row_number"] for row in outcome.turned_away] == [2, 5]
    assert json.loads(outcome.turned_away[0]["original"]) == {"line": broken}


def test_a_line_end_inside_quotes_makes_two_lines_that_are_no_rows(tmp_path: Path) -> None:
    torn = quoted(store_and_fwd_flag="a\nb")
    outcome = clean_lines(tmp_path, [quoted(), torn, quoted(extra="1")], QUOTED_HEADER)

    assert lines_turned_away(outcome) == list(enumerate(torn.split("\n"), start=2))
    assert outcome.column("extra") == [3.0, 1.0]


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"\xa0N", "\xa0N"), (b"\x92", "\x92"), ("é".encode(), "é"), ("\u2028".encode(), "\u2028"), (b"a\rb", "a\rb")],
    ids=["latin-1", "cp1252", "utf-8", "line separator", "lone CR"],
)
def test_odd_bytes_in_a_text_are_kept(raw: bytes, text: str, tmp_path: Path) -> None:
    line = trip(store_and_fwd_flag="?").encode().replace(b"?", raw)
    outcome = clean_bytes(tmp_path, b"\n".join([HEADER.encode(), trip().encode(), line, trip(extra="1").encode()]))

    assert outcome.column("store_and_fwd_flag") == ["N", text, "N"]
    assert outcome.is_conserved


def test_an_odd_byte_in_a_number_is_unreadable_and_told(tmp_path: Path) -> None:
    line = trip(extra="?").encode().replace(b"?", b"3\xa0")
    outcome = clean_bytes(tmp_path, b"\n".join([HEADER.encode(), trip().encode(), line]))

    (row,) = outcome.turned_away
    assert (row["row_number"], row["unreadable_columns"]) == (2, ["extra"])
    assert json.loads(row["original"])["extra"] == "3\xa0"


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    outcome = clean_bytes(tmp_path, f"\ufeff{HEADER}\n{trip()}\n".encode())

    assert outcome.column("vendor_id") == [1]
    assert outcome.unknown_columns == {}


@pytest.mark.parametrize("ends", [("\n", "\r\n"), ("\r\n", "\n"), ("\n\n\r\n", "\r\n")], ids=repr)
@pytest.mark.parametrize(
    "odd", [None, "x,y", trip() + ",1", trip(store_and_fwd_flag="a\rb"), trip(store_and_fwd_flag='"'), "\r\r"], ids=repr
)
def test_a_header_may_end_otherwise_than_the_rows(ends: tuple[str, str], odd: str | None, tmp_path: Path) -> None:
    after_header, end = ends
    rows = [trip(extra=str(number)) for number in range(50)]
    lines = rows if odd is None else [*rows[:20], odd, *rows[20:]]
    outcome = clean_bytes(tmp_path, (HEADER + after_header + "".join(line + end for line in lines)).encode())

    expected = [float(number) for number in range(50)]
    assert outcome.is_conserved
    if odd is not None and odd.count(",") == HEADER.count(","):
        assert outcome.column("extra") == [*expected[:20], 3.0, *expected[20:]]
        assert outcome.turned_away == []
    else:
        assert outcome.column("extra") == expected
        assert [row["row_number"] for row in outcome.turned_away] == ([] if odd in (None, "\r\r") else [21])


def test_a_month_that_needs_the_line_reader_reads_the_same_as_one_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [trip(extra=str(number), passenger_count=str(number % 3)) for number in range(300)]
    for name in ("fast", "sure"):
        (tmp_path / name).mkdir()
    fast = clean_lines(tmp_path / "fast", [rows[0], "cut", *rows])
    monkeypatch.setattr(reading, "csv_table", line_table)
    sure = clean_lines(tmp_path / "sure", [rows[0], "cut", *rows])

    assert not (tmp_path / "fast" / "yellow_tripdata_2021-01.csv.work" / "lines.parquet").exists()
    assert (tmp_path / "sure" / "yellow_tripdata_2021-01.csv.work" / "lines.parquet").exists()
    assert sure.cleaned.equals(fast.cleaned)
    assert sure.quarantine.equals(fast.quarantine)


@pytest.mark.parametrize("options", [{}, {"actions": {"unreadable": "warn"}}, {"actions": {"unreadable": "off"}}])
def test_a_malformed_line_is_quarantined_whatever_the_action_of_unreadable(
    options: dict[str, Any], tmp_path: Path
) -> None:
    # There is nothing of it that could be kept.
    outcome = clean_lines(tmp_path, [trip(), "cut"], **options)

    assert lines_turned_away(outcome) == [(2, "cut")]
    assert outcome.is_conserved


def test_a_packed_file_that_was_damaged_after_its_fetch_is_told(tmp_path: Path) -> None:
    path = tmp_path / "yellow_tripdata_2021-01.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{trip()}\n".encode(), mtime=0))
    raw, packed = raw_file(path), bytearray(path.read_bytes())
    packed[10] |= 0b110  # a kind of block there is none of
    path.write_bytes(packed)
    (tmp_path / "work").mkdir()
    with pytest.raises(TaxiPlatformError, match="the raw file does not unpack"):
        clean(YELLOW, Month.parse("2021-01"), raw, YELLOW.actions(), tmp_path / "work")


def test_what_was_unpacked_does_not_stay_while_the_month_is_written(tmp_path: Path) -> None:
    clean_bytes(tmp_path, f"{HEADER}\n{trip()}\n".encode(), "yellow_tripdata_2021-01.csv.gz")
    assert not list(tmp_path.rglob("*.csv"))


def test_a_packed_file_that_the_disk_cannot_hold_unpacked_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "yellow_tripdata_2021-01.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{(trip() + chr(10)) * 200_000}".encode(), 9))
    raw = raw_file(path)
    assert raw.bytes < 200_000
    with disk(tmp_path / "small", "16m") as folder, pytest.raises(DiskFullError) as error:
        clean(YELLOW, Month.parse("2021-01"), raw, YELLOW.actions(), folder)
    assert f"no room for the plain text of {path.name} of 17.2 MB" in str(error.value)
