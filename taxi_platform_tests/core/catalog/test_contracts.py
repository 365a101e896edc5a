"""The contracts the project ships: each is whole, unambiguous, and says only what an engine can do."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise, permutations
from pathlib import Path

import duckdb
import pytest

from taxi_platform.core.catalog.model import Rule, TableContract, TripContract, is_index, normalized
from taxi_platform.core.engine import identifier
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

    assert {path.stem for path in folder.glob("*.yaml")} == {*CATALOG.trips, *CATALOG.references}
    assert CATALOG.trips.keys() == {"yellow", "green", "fhv", "fhvhv"}


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
    assert {"unreadable", "missing_pickup", "duplicate_row"} <= set(names)
    columns = {column.name for column in contract.columns}
    assert ("zero_passengers" in names) == ("passenger_count" in columns)


@every_dataset
def test_a_header_of_a_layout_names_known_columns_once(contract: TripContract) -> None:
    known = {name for column in contract.columns for name in column.published_names}

    for layout in contract.layouts:
        header = [normalized(name) for name in layout.header if not is_index(name)]
        assert set(header) <= known
        assert len(set(header)) == len(header)
        assert {*layout.texts, *layout.types} <= set(layout.header)


@every_dataset
@pytest.mark.parametrize("edition", ["csv", "parquet"])
def test_layouts_follow_each_other_in_time_and_each_differs_from_the_one_before(
    contract: TripContract, edition: str
) -> None:
    layouts = [it for it in contract.layouts if it.format == edition]

    assert layouts[0].since >= contract.first_month
    for before, after in pairwise(layouts):
        assert before.since < after.since
        assert before != after.model_copy(update={"since": before.since})


def test_every_dataset_of_tlc_is_there_from_its_first_published_month_on() -> None:
    assert {name: str(contract.first_month) for name, contract in CATALOG.trips.items()} == {
        "yellow": "2009-01",
        "green": "2013-08",
        "fhv": "2015-01",
        "fhvhv": "2019-02",
    }


def test_what_has_the_same_name_means_the_same_in_every_dataset() -> None:
    for contract, other in permutations(CATALOG.trips.values(), 2):
        columns = {column.name: column for column in other.columns}
        for column in contract.columns:
            if (same := columns.get(column.name)) is not None:
                assert (column.type, column.unit) == (same.type, same.unit), column.name
                # One may have had more codes than the other, never other meanings.
                codes = set(column.codes) & set(same.codes)
                assert {code: column.codes[code] for code in codes} == {code: same.codes[code] for code in codes}


@every_dataset
def test_a_row_means_nothing_without_its_pickup_time(contract: TripContract) -> None:
    assert [column.name for column in contract.columns if column.required] == ["pickup_datetime"]


@every_dataset
def test_both_ends_of_a_trip_have_a_zone(contract: TripContract) -> None:
    assert contract.zone_columns == {"pickup": "pickup_location_id", "dropoff": "dropoff_location_id"}
