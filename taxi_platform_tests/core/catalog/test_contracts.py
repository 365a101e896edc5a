"""The contracts the project ships: each is whole, unambiguous, and says only what an engine can do."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from taxi_platform.core.catalog.model import Rule, TableContract, TripContract, normalized
from taxi_platform.core.engine import identifier
from taxi_platform.core.month import Month
from taxi_platform_tests.core.cleaning.months import CATALOG

CONTRACTS: list[TableContract] = [*CATALOG.trips.values(), CATALOG.zones]
RULES = [
    pytest.param(contract, rule, id=f"{contract.dataset}-{rule.name}")
    for contract in CATALOG.trips.values()
    for rule in contract.rules
]
every_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda it: it.table)
every_dataset = pytest.mark.parametrize("contract", CATALOG.trips.values(), ids=lambda it: it.table)


def test_every_file_of_the_catalog_is_a_contract() -> None:
    folder = Path(__file__).parents[3] / "taxi_platform" / "core" / "catalog"

    assert {path.stem for path in folder.glob("*.yaml")} == {*CATALOG.trips, CATALOG.zones.table}
    assert {"yellow", "green"} <= CATALOG.trips.keys()


@every_contract
def test_canonical_names_are_snake_case_and_unique(contract: TableContract) -> None:
    names = [column.name for column in contract.columns]

    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in names)
    assert max(Counter(names).values()) == 1
    assert not {"source_month", "extra_columns", "unreadable", "duplicate", "broken"} & set(names)


@every_contract
def test_a_published_name_belongs_to_one_column(contract: TableContract) -> None:
    names = Counter(name for column in contract.columns for name in column.published_names)

    assert max(names.values()) == 1
    assert all(name == normalized(name) for name in names)


@every_contract
def test_every_description_is_a_sentence(contract: TableContract) -> None:
    described = [contract, *contract.columns, *(contract.rules if isinstance(contract, TripContract) else ())]

    for it in described:
        assert re.fullmatch(r"[A-Z].*\.", it.description, flags=re.DOTALL), it
        assert it.description == it.description.strip()


@pytest.mark.parametrize(("contract", "rule"), RULES)
def test_a_rule_is_a_condition_over_the_columns_of_its_contract(contract: TripContract, rule: Rule) -> None:
    columns = ", ".join(f"NULL::{it.type.duckdb} AS {identifier(it.name)}" for it in contract.table_columns)
    row = f"SELECT {columns}, false AS unreadable, false AS duplicate"

    (found,) = duckdb.execute(f"SELECT typeof({rule.condition}) FROM ({row})").fetchall()
    assert found == ("BOOLEAN",)


@every_dataset
def test_rules_are_told_apart_by_name_and_fit_into_a_rows_bits(contract: TripContract) -> None:
    names = [rule.name for rule in contract.rules]

    assert len(set(names)) == len(names) < 31
    assert {"unreadable", "zero_passengers", "duplicate_row"} <= set(names)


@every_dataset
def test_a_header_of_a_layout_names_known_columns_once(contract: TripContract) -> None:
    known = {name for column in contract.columns for name in column.published_names}

    for layout in contract.layouts:
        header = [normalized(name) for name in layout.header]
        assert set(header) <= known
        assert len(set(header)) == len(header)
    assert [it.since for it in contract.layouts] == sorted(it.since for it in contract.layouts)


@pytest.mark.parametrize(("dataset", "first"), [("yellow", Month(2009, 1)), ("green", Month(2013, 8))])
def test_a_dataset_begins_with_its_first_published_month(dataset: str, first: Month) -> None:
    assert CATALOG.trips[dataset].first_month == first


@every_dataset
def test_what_means_the_same_has_the_same_name_and_type_in_every_dataset(contract: TripContract) -> None:
    yellow = {column.name: column for column in CATALOG.trips["yellow"].columns}

    for column in contract.columns:
        if column.name in yellow:
            assert column.type == yellow[column.name].type
            assert (column.unit, column.codes) == (yellow[column.name].unit, yellow[column.name].codes)
    assert contract.column("pickup_datetime").required
