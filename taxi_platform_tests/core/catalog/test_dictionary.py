"""The data dictionary is what the contracts say, for people: it cannot fall behind them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from taxi_platform.core.catalog.dictionary import render
from taxi_platform.core.catalog.model import TableContract, TripContract, is_index
from taxi_platform_tests.core.cleaning.months import CATALOG

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "data-dictionary.md"
RENDERED = render(CATALOG)
CONTRACTS: list[TableContract] = [*CATALOG.trips.values(), *CATALOG.references.values()]
every_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda it: it.table)


def section_of(contract: TableContract) -> str:
    return RENDERED.partition(f"## {contract.table}\n")[2].partition("\n## ")[0]


def row_of(contract: TableContract, name: str) -> list[str]:
    """The cells of a column's row."""
    (row,) = [line for line in section_of(contract).splitlines() if line.startswith(f"| `{name}` |")]
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def test_the_page_is_the_one_the_contracts_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == RENDERED, (
        "docs/data-dictionary.md is not what the contracts say: run `make docs` and commit it"
    )


def test_make_docs_writes_the_page() -> None:
    command = [sys.executable, "-m", "taxi_platform.core.catalog.dictionary"]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    assert shown.stdout.decode("utf-8") == RENDERED
    assert "taxi_platform.core.catalog.dictionary > docs/data-dictionary.md" in (ROOT / "Makefile").read_text()


@every_contract
def test_every_column_has_one_row_with_its_type_unit_meaning_and_codes(contract: TableContract) -> None:
    columns = contract.table_columns if isinstance(contract, TripContract) else contract.columns

    for column in columns:
        cells = row_of(contract, column.name)
        assert cells[:4] == [f"`{column.name}`", column.type, column.unit or "", column.description]
        for code, meaning in column.codes.items():
            assert f"{code} = {meaning}" in cells[4]


@every_contract
def test_every_line_of_a_table_has_as_many_cells_as_its_head(contract: TableContract) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", section_of(contract), flags=re.MULTILINE)

    assert len(tables) == (2 if isinstance(contract, TripContract) else 1)
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


@pytest.mark.parametrize("contract", CATALOG.trips.values(), ids=lambda it: it.dataset)
def test_every_name_of_every_layout_and_every_rule_is_told(contract: TripContract) -> None:
    section = section_of(contract)

    for layout in contract.layouts:
        for name in layout.header:
            if not is_index(name):
                assert f"`{name.strip()}` from " in row_of(contract, contract.published_as(name).name)[-1]
    for rule in contract.rules:
        assert f"| `{rule.name}` | {rule.action} | {rule.description} |" in section


def test_a_column_tells_when_its_names_came_and_went() -> None:
    yellow, green = CATALOG.trips["yellow"], CATALOG.trips["green"]

    assert row_of(yellow, "pickup_longitude")[-1] == (
        "CSV: `Start_Lon` from 2009-01, `pickup_longitude` from 2010-01, gone from 2016-07"
        "<br>Parquet: `Start_Lon` from 2009-01, `pickup_longitude` from 2010-01, gone from 2011-01"
    )
    assert row_of(yellow, "airport_fee")[-1] == "Parquet: `airport_fee` from 2011-01, `Airport_fee` from 2023-02"
    assert row_of(green, "cbd_congestion_fee")[-1] == "Parquet: `cbd_congestion_fee` from 2025-01"
    assert "VTS = 2, DDS = no code" in row_of(yellow, "vendor_id")[4]
