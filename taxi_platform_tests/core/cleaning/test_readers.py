"""Both readers of a CSV and plain Python read the same rows, value by value, wherever in the file something is odd."""

from __future__ import annotations

import csv
import re
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from taxi_platform.core.cleaning import reading
from taxi_platform.core.cleaning.csv_reading import line_table
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform_tests.core.cleaning.months import YELLOW, Outcome, clean_bytes

NAMES = ["tpep_pickup_datetime", "store_and_fwd_flag", "passenger_count", "fare_amount"]
COLUMNS = ["pickup_datetime", "store_and_fwd_flag", "passenger_count", "fare_amount"]
GOOD = "2021-01-05 10:00:00,N,1,8.5"
#: So many good rows come first: what is odd is not among those that are looked at to learn the layout.
BEFORE = 210
ONLY_UNREADABLE = {rule.name: "off" for rule in YELLOW.rules if rule.name != "unreadable"}

_NUMBER = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:(?:[ \t\n\r\f]+|T)([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:[.]([0-9]{1,9}))?)?)?"
)
BROKEN = object()


def split_by_hand(line: str) -> list[str] | None:
    """A line's four fields, or None where it is malformed."""
    try:
        fields = next(csv.reader([line], strict=True)) if '"' in line else line.split(",")
    except csv.Error:
        fields = []
    if not (len(fields) >= len(NAMES) and not any(fields[len(NAMES) :])) and '"' in line:
        fields = line.split(",")
        if any(it.strip()[:1] == it.strip()[-1:] == '"' and len(it.strip()) > 1 for it in fields):
            return None
    return fields[: len(NAMES)] if len(fields) >= len(NAMES) and not any(fields[len(NAMES) :]) else None


def number_by_hand(text: str, *, whole: bool) -> Any:
    if not text.strip(" \t"):
        return None
    bare = text.strip(" \t\n\r\f\v")
    if not _NUMBER.fullmatch(bare) or abs(float(bare)) == float("inf"):
        return BROKEN
    if not whole:
        return float(bare)
    return int(float(bare)) if float(bare).is_integer() and abs(float(bare)) < 2**31 else BROKEN


def time_by_hand(text: str) -> Any:
    if not text.strip(" \t"):
        return None
    found = _TIME.fullmatch(text.strip(" \t\n\r\f"))
    if not found:
        return BROKEN
    year, month, day, hour, minute, second, fraction = found.groups()
    try:
        micros = int((fraction or "0").ljust(6, "0")[:6])
        return datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micros)
    except ValueError:
        return BROKEN


def row_by_hand(fields: list[str]) -> list[Any]:
    pickup, flag, passengers, fare = fields
    return [
        time_by_hand(pickup),
        flag.strip(' \t"') or None,
        number_by_hand(passengers, whole=True),
        number_by_hand(fare, whole=False),
    ]


texts = st.sampled_from(
    ["N", "Y", "", " Y ", "\xe9", "\xa0", "a b", 'a"b', '"', "it's", "\t", "#", "NULL", "x" * 3_000]
)
numbers = st.sampled_from(
    [
        "1",
        "1.0",
        " 2 ",
        "+3",
        "-4",
        "",
        " ",
        "1_000",
        "0x10",
        "0b1",
        "+-1",
        "--1",
        "1e2",
        "1E-2",
        ".5",
        "5.",
        "1e400",
        "inf",
        "nan",
        "NULL",
        "$8",
        "1 000",
        "\u0661",
        "\t7",
        "1.5",
        "99999999999",
        "true",
        "1,5",
        "-0",
        "0005",
    ]
)
times = st.sampled_from(
    [
        "2021-01-05 10:00:00",
        "2021-01-05 10:00",
        "2021-1-5 9:5:1",
        "2021-01-05T10:00:00",
        "2021-01-05",
        "",
        "2021-01-05 01:10:5Z",
        "2021-01-05 01:10:05Z",
        "2021-01-05 24:00:00",
        "2021-01-05 23:59:60",
        "infinity",
        "epoch",
        "2021-01-05 10:00:00.123456",
        "2021-01-05 10:00:00+01",
        "21-01-05 10:00:00",
        "01/05/2021 10:00",
        "1609840800",
        "2021-02-30 10:00:00",
        "0000-01-01 00:00:00",
        " 2021-01-05 10:00:00 ",
        "2021-01-05  1:00:00",
        "  21-01-05 10:00:00",
        "3019-12-31 23:59:59",
        "1900-01-01 00:00:00",
        "0999-01-01 00:00:00",
        "2021-01-05 10:00:00 PM",
        "2021/01/05 10:00:00",
    ]
)
quotes = st.sampled_from(["none", "none", "all", "fares"])


@st.composite
def lines(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["row", "row", "row", "row", "cut", "wide", "junk", "blank", "text"]))
    if kind == "blank":
        return ""
    if kind == "text":
        return draw(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=40))
    fields = [draw(times), draw(texts), draw(numbers), draw(numbers)]
    quoting = draw(quotes)
    if quoting != "none":
        places = range(4) if quoting == "all" else [3]
        fields = [f'"{it.replace(chr(34), chr(34) * 2)}"' if at in places else it for at, it in enumerate(fields)]
    line = ",".join(fields)
    return {"cut": line[: len(line) // 2], "wide": line + ",x", "junk": line + ",,"}.get(kind, line)


def outcome_of(content: bytes, *, by_line: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if by_line:
            patch.setattr(reading, "csv_table", line_table)
        return clean_bytes(Path(folder), content, actions=ONLY_UNREADABLE)


@settings(max_examples=60, deadline=None)
@given(
    odd=st.lists(lines(), min_size=1, max_size=8),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    odd_end=st.sampled_from(["", "\n", "\r\n", "\r"]),
    header=st.sampled_from([",".join(NAMES), ",".join(f'"{it}"' for it in NAMES), "\ufeff" + ",".join(NAMES)]),
    encoding=st.sampled_from(["utf-8", "utf-8", "latin-1"]),
)
@example(['2021-01-05 10:00:00,N,1,"8.5"'], "\n", "", ",".join(NAMES), "utf-8")
@example(['"2021-01-05 10:00:00","N","1","8.5"'], "\n", "\r\n", ",".join(NAMES), "utf-8")
@example(['2021-01-05 10:00:00,"N,1,8.5', '2021-01-05 10:00:00,N",1,8.5'], "\n", "", ",".join(NAMES), "utf-8")
@example(["infinity,N,+-1,1_000"], "\n", "", ",".join(NAMES), "utf-8")
def test_both_readers_and_plain_python_read_the_same_values_of_what_comes_after_the_first_200_rows(
    odd: list[str], end: str, odd_end: str, header: str, encoding: str
) -> None:
    odd_end = odd_end or end
    if odd_end == "\r" != end:
        # A CR in a line that has as many fields as the header belongs to a value.
        assume("\r".join([*odd, GOOD]).count(",") != len(NAMES) - 1)
    body = "".join(line + odd_end for line in odd) + GOOD + end
    content = (header + end + (GOOD + end) * BEFORE).encode(errors="replace") + body.encode(encoding, "replace")

    fast, sure = (outcome_of(content, by_line=by_line) for by_line in (False, True))

    assert fast.cleaned.equals(sure.cleaned)
    assert fast.quarantine.equals(sure.quarantine)
    published = [line for line in odd if line.strip("\r")]
    decoded = [line.encode(encoding, "replace").decode(encoding) for line in published]
    expected = [(line, split_by_hand(line)) for line in decoded]
    rows = [None if fields is None else row_by_hand(fields) for _, fields in expected]
    kept = [row for row in rows if row is not None and BROKEN not in row]
    assert fast.is_conserved
    assert fast.raw.rows == BEFORE + 1 + len(published)
    got = [[row[name] for name in COLUMNS] for row in fast.rows[BEFORE:-1]]
    assert got == kept
    assert len(fast.turned_away) == len(rows) - len(kept)
    broken = [[name for name, value in zip(COLUMNS, row or [], strict=False) if value is BROKEN] for row in rows]
    assert [row["unreadable_columns"] for row in fast.turned_away] == [
        names for names, row in zip(broken, rows, strict=True) if names or row is None
    ]


def test_a_column_of_the_first_200_rows_that_is_empty_may_be_filled_later(tmp_path: Path) -> None:
    header = "tpep_pickup_datetime,fare_amount"
    content = header + "\n" + "2021-01-05 10:00:00,\n" * BEFORE + "2021-01-05 10:00:00,8.5\n"
    assert clean_bytes(tmp_path, content.encode()).column("fare_amount") == [None] * BEFORE + [8.5]


def test_a_header_that_lacks_a_name_is_refused_also_where_its_surplus_is_filled_after_the_first_200_rows(
    tmp_path: Path,
) -> None:
    header = ",".join(NAMES[:3])
    content = header + "\n" + "2021-01-05 10:00:00,N,1,\n" * BEFORE + "2021-01-05 10:00:00,N,1,8.5\n" * 50
    with pytest.raises(TaxiPlatformError, match="header"):
        clean_bytes(tmp_path, content.encode())
