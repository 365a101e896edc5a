"""Nothing lost: the rows an independent count finds in a file are its cleaned and its quarantined rows, always."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taxi_platform.core.catalog.model import RuleAction, TripContract
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month, write_parquet_month
from taxi_platform_tests.core.cleaning.months import CATALOG, YELLOW, Outcome, clean_bytes, clean_file

NAMES = ["tpep_pickup_datetime", "store_and_fwd_flag", "passenger_count", "extra"]
HEADERS = [",".join(NAMES), ",".join(f'"{name}"' for name in NAMES)]
GOOD_LINE = "2021-01-05 10:00:00,N,1,0.5"
ONLY_UNREADABLE = {rule.name: "off" for rule in YELLOW.rules if rule.name != "unreadable"}

fields = st.one_of(
    st.sampled_from(["", "0", "1", "1.0", "x", "N", " ", "2021-01-05 10:00:00", "2021-13-05 10:00:00", "NULL"]),
    st.sampled_from(['"', '""', '"a"', '"a,b"', 'a"b', '"a', 'b"', '"a""b"', "'", "\\", "\t", "\r", '"a\nb"']),
    st.sampled_from(["\xa0", "é", "\x85", "\x92", "\u2028", "\ufeff", "\x00"]),
    st.text(max_size=6),
)
lines = st.one_of(
    st.just(GOOD_LINE),
    st.just(""),
    st.lists(fields, min_size=1, max_size=9).map(",".join),
    st.tuples(st.just("2021-01-05 10:00:00"), fields, st.just("1"), st.just("")).map(",".join),
)


def file_content(header: str, body: list[tuple[str, str]], last_end: str, encoding: str) -> bytes:
    return (header + "\n" + "".join(line + end for line, end in body) + last_end).encode(encoding, "replace")


contents = st.builds(
    file_content,
    st.sampled_from(HEADERS),
    st.one_of(
        st.lists(st.tuples(lines, st.just("\n")), max_size=8),
        st.lists(st.tuples(lines, st.just("\r\n")), max_size=8),
        st.lists(st.tuples(lines, st.sampled_from(["\n", "\r\n"])), max_size=8),
    ),
    st.sampled_from(["", "\n", GOOD_LINE, "2021-01-0"]),
    st.sampled_from(["utf-8", "latin-1"]),
)


def data_lines(content: bytes) -> list[str]:
    """The rows of a CSV by the plainest reading there is: its lines that are not blank, without the header."""
    commas, lines = len(NAMES) - 1, list[bytes]()
    for ended in content.split(b"\n"):
        line = ended.rstrip(b"\r")
        lines += [line] if line.count(b",") == commas else line.split(b"\r")
    return [decoded(line) for line in lines if line][1:]


def decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def clean_content(content: bytes) -> Outcome | None:
    """The outcome; None where the month is refused, as nobody can tell what its header means."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return clean_bytes(Path(folder), content, actions=ONLY_UNREADABLE)
        except TaxiPlatformError as error:
            assert "header" in str(error)
            return None


@settings(max_examples=80, deadline=None)
@given(contents)
@example(file_content(HEADERS[0], [("a,\r,1,2", "\n"), (GOOD_LINE, "\n")], "", "utf-8"))
@example(file_content(HEADERS[0], [("a,\x85,1,2", "\n"), (GOOD_LINE, "\n")], "", "latin-1"))
@example(file_content(HEADERS[0], [("", "\r\n"), ('"a""b",\\,",\\', "\r\n")], "", "utf-8"))
@example(file_content(HEADERS[0], [(GOOD_LINE, "\r\n"), ("", "\r\n"), ('b"', "\n")], "", "utf-8"))
@example(file_content(HEADERS[1], [('"a,b,1,2', "\n"), ("", "\n"), (GOOD_LINE, "\n"), ('"', "\n")], "", "utf-8"))
@example(file_content(HEADERS[0], [(GOOD_LINE, "\r\n"), (",", "\r\n")], GOOD_LINE, "utf-8"))
@example(file_content(HEADERS[0], [(GOOD_LINE + ",x", "\r\n"), ("C\r" + GOOD_LINE, "\r\n")], "", "utf-8"))
@example(
    file_content(
        HEADERS[1],
        [("2021-01-05 10:00:00,\r,1,", "\n"), ('2021-01-05 10:00:00,"a\nb",1,', "\n")],
        "2021-01-0",
        "utf-8",
    )
)
def test_every_row_of_any_csv_is_cleaned_or_quarantined_under_its_own_number(content: bytes) -> None:
    outcome = clean_content(content)
    if outcome is None:
        return
    published = data_lines(content)

    assert outcome.is_conserved
    assert outcome.raw.rows == len(published)
    turned_away = {row["row_number"]: json.loads(row["original"]) for row in outcome.turned_away}
    assert len(turned_away) == outcome.quarantine.num_rows
    assert turned_away.keys() <= set(range(1, len(published) + 1))
    for number, original in turned_away.items():
        if "line" in original:
            assert original["line"] == published[number - 1]
    kept = [line for number, line in enumerate(published, start=1) if number not in turned_away]
    for row, line in zip(outcome.rows, kept, strict=True):
        if '"' not in line:
            flag, passengers = line.split(",")[1:3]
            assert row["store_and_fwd_flag"] == (flag.strip(" \t") or None)
            assert row["passenger_count"] == (int(float(passengers)) if passengers.strip() else None)


@settings(max_examples=12, deadline=None)
@given(
    contract=st.sampled_from([*CATALOG.trips.values()]),
    month=st.builds(Month, st.integers(2009, 2026), st.integers(1, 12)),
    edition=st.sampled_from(["csv.gz", "parquet"]),
    rows=st.sampled_from([0, 1, 2, 50, 3_000, 5_001]),
    data=st.data(),
)
def test_every_row_of_a_generated_month_is_cleaned_or_quarantined_whatever_the_rules_do(
    contract: TripContract, month: Month, edition: str, rows: int, data: st.DataObject
) -> None:
    actions = data.draw(st.fixed_dictionaries({rule.name: st.sampled_from(RuleAction) for rule in contract.rules}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{contract.dataset}_tripdata_{month}.{edition}"
        write = write_parquet_month if edition == "parquet" else write_month
        write(contract, month, rows, path)
        outcome = clean_file(path, contract, str(month), actions)

        lineage = outcome.month.cleaned.lineage

    assert outcome.raw.rows == rows
    assert outcome.is_conserved
    assert (lineage.rows_cleaned, lineage.rows_quarantined) == (outcome.cleaned.num_rows, outcome.quarantine.num_rows)
    reasons = [row["broken_rules"] for row in outcome.turned_away]
    assert all(reasons)
    assert Counter(chain.from_iterable(reasons)) == {
        count.rule.name: count.rejected for count in outcome.month.counts if count.rejected
    }
    for count in outcome.month.counts:
        assert count.action is not RuleAction.REJECT or count.kept == 0
        assert count.action is not RuleAction.OFF or count.kept == count.rejected == 0


@pytest.mark.parametrize("name", ["yellow_tripdata_2021-01.csv", "yellow_tripdata_2021-01.csv.gz"])
def test_rows_are_numbered_rightly_in_a_file_read_in_many_pieces(name: str, tmp_path: Path) -> None:
    malformed = range(1_000, 700_000, 49_999)
    body = [GOOD_LINE] * 700_000
    for number in malformed:
        body[number - 1] = "cut"
    outcome = clean_bytes(tmp_path, "\r\n".join([HEADERS[0], *body, ""]).encode(), name, actions=ONLY_UNREADABLE)

    assert outcome.quarantine["row_number"].to_pylist() == list(malformed)
    assert outcome.is_conserved
