"""The first rows TLC wrote of every era, which lie in the repository: read to the values a plain reader finds."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform_tests.core.cleaning import plain
from taxi_platform_tests.core.cleaning.months import CATALOG, HEADS, Outcome, clean_copy

CSVS = sorted(path.name for path in HEADS.glob("*.csv"))
PARQUETS = sorted(path.name for path in HEADS.glob("*.parquet"))


def of(name: str) -> tuple[str, str]:
    """The dataset and the month of a file."""
    return name.partition("_")[0], name.partition(".")[0][-7:]


def cleaned(name: str, folder: Path) -> Outcome:
    """The month; nothing but what is no row at all is turned away."""
    contract = CATALOG.trips[of(name)[0]]
    actions = {rule.name: "warn" for rule in contract.rules if rule.name != "unreadable"}
    return clean_copy(HEADS / name, folder, contract, actions=actions)


def test_every_way_tlc_laid_out_a_csv_has_a_head_whose_header_is_the_contracts() -> None:
    wanted = [
        (it.dataset, layout.header) for it in CATALOG.trips.values() for layout in it.layouts if layout.format == "csv"
    ]
    found: list[tuple[str, tuple[str, ...]]] = []
    for name in CSVS:
        dataset, month = of(name)
        with (HEADS / name).open(newline="") as lines:
            header = tuple(it.strip() for it in next(csv.reader(lines)))
        contract = CATALOG.trips[dataset]
        assert header == tuple(it.strip() for it in contract.layout_of(contract.month(month), "csv").header), name
        found.append((dataset, contract.layout_of(contract.month(month), "csv").header))
    assert Counter(found) == Counter(wanted)


@pytest.mark.parametrize("name", CSVS)
def test_the_first_lines_tlc_wrote_of_an_era_have_the_values_a_plain_reader_finds(name: str, tmp_path: Path) -> None:
    outcome = cleaned(name, tmp_path)

    rows = plain.rows_of(HEADS / name, of(name)[0])
    assert len(rows) >= 4
    assert outcome.turned_away == []
    assert outcome.unknown_columns == {}
    assert outcome.rows == [{**row, "extra_columns": None} for row in rows]


@pytest.mark.parametrize("name", PARQUETS)
def test_the_first_rows_of_tlcs_own_parquet_have_the_values_that_stand_in_it(name: str, tmp_path: Path) -> None:
    outcome, published = cleaned(name, tmp_path), pq.read_table(HEADS / name)

    assert (outcome.cleaned.num_rows, outcome.turned_away) == (20, [])
    assert outcome.unknown_columns == {}
    read: list[str] = []
    for column, (_, names) in plain.columns_of(of(name)[0]).items():
        ours, found = outcome.cleaned[column], [it for it in published.column_names if it in names]
        read += found
        theirs = published[found[0]].cast(ours.type) if found else pa.nulls(20, ours.type)
        if column == "location_id_origin":  # which the cleaning says
            theirs = pa.array(["published"] * 20)
        assert ours.to_pylist() == theirs.to_pylist(), column
    assert sorted(read) == sorted(published.column_names)


def test_the_page_beside_the_heads_says_which_rows_each_of_them_has() -> None:
    page = (HEADS / "README.md").read_text(encoding="utf-8")
    rows = {name: len(plain.rows_of(HEADS / name, of(name)[0])) for name in CSVS}
    rows |= {name: pq.read_metadata(HEADS / name).num_rows for name in PARQUETS}

    told = {name: int(last) for name, last in re.findall(r"^\| `(\S+)` \| 1 to (\d+) \|$", page, re.MULTILINE)}
    assert told == rows
    assert sum(path.stat().st_size for path in HEADS.iterdir()) < 300_000
