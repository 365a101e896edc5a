"""The model of a contract: versions, overrides, months, and what a contract that makes no sense is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from taxi_platform.core import catalog
from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.core.catalog.model import ColumnType, RuleAction, TripContract
from taxi_platform.core.errors import ContractError, TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform_tests.core.cleaning.months import GREEN, YELLOW, clean_lines

A_CONTRACT = """
kind: trips
dataset: boats
title: Boat trips
description: Trips by boat.
owner: team:data-platform
documentation: https://example.com
first_month: 2020-02
columns:
  - name: pickup_datetime
    type: timestamp
    description: When it began.
    names: [Start_Time, started_at]
    required: true
  - {name: passenger_count, type: int32, description: Passengers., names: [People]}
rules:
  - {name: unreadable, condition: unreadable, action: reject, description: Not readable.}
  - {name: crowded, condition: passenger_count > 9, action: off, description: Too many.}
layouts:
  - {since: 2020-02, format: csv, header: [Start_Time, People]}
"""
Change = Callable[[dict[str, Any]], object]


def load(folder: Path, text: str = A_CONTRACT) -> TripContract:
    path = folder / "boats.yaml"
    path.write_text(text, encoding="utf-8")
    return load_catalog(path).trips["boats"]


def changed(folder: Path, change: Change) -> TripContract:
    contract = yaml.safe_load(A_CONTRACT.replace("2020-02", '"2020-02"'))
    change(contract)
    return load(folder, yaml.safe_dump(contract))


def test_a_contract_file_more_is_a_dataset_more(tmp_path: Path) -> None:
    contract = load(tmp_path)

    assert contract.table == "boats_trips"
    assert contract.first_month == Month(2020, 2)
    assert "yellow" in load_catalog(tmp_path / "boats.yaml").trips


def test_an_unquoted_off_is_the_action_off(tmp_path: Path) -> None:
    assert load(tmp_path).actions() == {"unreadable": RuleAction.REJECT, "crowded": RuleAction.OFF}


@pytest.mark.parametrize("name", ["Start_Time", "started_at", "STARTED_AT", "pickup_datetime"])
def test_a_column_may_be_published_under_several_names(name: str, tmp_path: Path) -> None:
    outcome = clean_lines(
        tmp_path,
        ["2021-01-01 00:00:00,4"],
        f"{name},People",
        contract=load(tmp_path),
        name="boats_tripdata_2021-01.csv",
    )

    assert outcome.rows == [
        {"pickup_datetime": datetime(2021, 1, 1), "passenger_count": 4, "extra_columns": None},
    ]


def test_where_a_file_has_several_of_a_columns_names_the_first_that_is_filled_wins(tmp_path: Path) -> None:
    lines = ["2021-01-01 00:00:00,", ",2021-01-02 00:00:00", "2021-01-03 00:00:00,2021-01-04 00:00:00", "x,2021-01-05"]
    outcome = clean_lines(
        tmp_path, lines, "Start_Time,started_at", contract=load(tmp_path), name="boats_tripdata_2021-01.csv"
    )

    assert [when.day for when in outcome.column("pickup_datetime")] == [1, 2, 3]
    assert [row["unreadable_columns"] for row in outcome.turned_away] == [["pickup_datetime"]]


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it["columns"][1].update(type="int64"),
        lambda it: it["columns"][1]["names"].append("Passengers"),
        lambda it: it["columns"].pop(),
        lambda it: it["rules"][1].update(condition="passenger_count > 8"),
        lambda it: it["rules"][1].update(action="reject"),
        lambda it: it["rules"].pop(),
    ],
    ids=["type", "name", "column gone", "condition", "action", "rule gone"],
)
def test_the_version_changes_with_the_columns_and_the_rules(change: Change, tmp_path: Path) -> None:
    assert changed(tmp_path, change).version != load(tmp_path).version


@pytest.mark.parametrize(
    "change",
    [
        lambda it: None,
        lambda it: it.update(title="Ferry trips"),
        lambda it: it.update(description="Trips by ferry."),
        lambda it: it.update(owner="team:ferries"),
        lambda it: it.update(first_month="2020-01"),
    ],
    ids=["nothing", "title", "description", "owner", "first month"],
)
def test_the_version_stays_when_the_meaning_does(change: Change, tmp_path: Path) -> None:
    assert changed(tmp_path, change).version == load(tmp_path).version


def test_a_version_is_twelve_hex_digits() -> None:
    assert len(YELLOW.version) == 12
    assert int(YELLOW.version, 16) >= 0


def test_actions_are_the_contracts_unless_overridden() -> None:
    overridden = YELLOW.actions({"zero_passengers": "warn"})

    assert overridden == YELLOW.actions() | {"zero_passengers": RuleAction.WARN}
    assert list(overridden) == [rule.name for rule in YELLOW.rules]
    assert all(isinstance(action, RuleAction) for action in overridden.values())


def test_an_override_of_an_unknown_rule_lists_the_rules_and_suggests_the_near_one() -> None:
    with pytest.raises(ContractError) as error:
        YELLOW.actions({"zero_passenger": "warn"})

    assert "there is no rule 'zero_passenger'" in str(error.value)
    assert "did you mean zero_passengers?" in str(error.value)
    assert ", ".join(rule.name for rule in YELLOW.rules) in str(error.value)


def test_an_override_of_a_rule_that_is_near_none_only_lists_them() -> None:
    with pytest.raises(ContractError) as error:
        YELLOW.actions({"xyz": "warn"})

    assert "did you mean" not in str(error.value)
    assert "unreadable, missing_pickup" in str(error.value)


@pytest.mark.parametrize("action", ["drop", "REJECT", ""])
def test_an_override_to_an_unknown_action_lists_the_actions(action: str) -> None:
    with pytest.raises(ContractError, match="rule zero_passengers cannot be set to") as error:
        YELLOW.actions({"zero_passengers": action})

    assert "use reject, warn, off" in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it["columns"][1].update(type="int23"), "type"),
        (lambda it: it["columns"][1].update(name="Passengers"), "name"),
        (lambda it: it["columns"][1].pop("description"), "description"),
        (lambda it: it["columns"][1].update(nmaes=[]), "nmaes"),
        (lambda it: it["columns"][1].update(names=["STARTED_AT "]), "both published as 'started_at'"),
        (lambda it: it["columns"].append(dict(it["columns"][1])), "passenger_count"),
        (lambda it: it["rules"].append(dict(it["rules"][1])), "crowded"),
        (lambda it: it["columns"].append({**it["columns"][1], "name": "extra_columns", "names": []}), "extra_columns"),
        (lambda it: it["rules"][1].update(action="drop"), "action"),
        (lambda it: it.update(first_month="2020-13"), "'2020-13' is not a month"),
        (lambda it: it["layouts"][0].update(since="soon"), "layouts.0.since"),
        (lambda it: it.update(layouts=[]), "layouts"),
        (lambda it: it.pop("dataset"), "dataset"),
        (lambda it: it.update(kind="trip"), "kind"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_a_contract_that_makes_no_sense_is_an_error_that_names_file_and_entry(
    change: Change, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ContractError) as error:
        changed(tmp_path, change)

    assert str(tmp_path / "boats.yaml") in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "a: b: c", "\tkind: trips"])
def test_a_file_that_is_no_yaml_contract_is_an_error_that_names_it(text: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="not a valid contract") as error:
        load(tmp_path, text)

    assert str(tmp_path / "boats.yaml") in str(error.value)


def last_whole_month() -> Month:
    today = datetime.now(UTC)
    return Month(today.year - (today.month == 1), (today.month - 2) % 12 + 1)


def test_a_dataset_has_the_months_from_its_first_to_the_last_whole_one() -> None:
    assert YELLOW.month("2009-01") == Month(2009, 1)
    assert YELLOW.month(str(last_whole_month())) == last_whole_month()


@pytest.mark.parametrize("key", ["2008-12", str(last_whole_month().next), "9999-12"])
def test_any_other_month_is_refused(key: str) -> None:
    with pytest.raises(TaxiPlatformError, match=f"yellow_trips: {key} is outside the dataset's months"):
        YELLOW.month(key)


@pytest.mark.parametrize("key", ["2021", "2021-1", "2021-00", "2021-13", "0000-01", "2021-01-01", "", " "])
def test_what_is_no_month_is_refused(key: str) -> None:
    with pytest.raises(TaxiPlatformError, match="is not a month"):
        YELLOW.month(key)


def test_every_type_has_its_arrow_and_its_duckdb_type() -> None:
    assert {kind: kind.arrow for kind in ColumnType} == {
        ColumnType.STRING: pa.string(),
        ColumnType.INT32: pa.int32(),
        ColumnType.INT64: pa.int64(),
        ColumnType.FLOAT64: pa.float64(),
        ColumnType.TIMESTAMP: pa.timestamp("us"),
        ColumnType.DATE: pa.date32(),
    }
    assert {kind.value: kind.duckdb for kind in ColumnType} == {
        "string": "VARCHAR",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "float64": "DOUBLE",
        "timestamp": "TIMESTAMP",
        "date": "DATE",
    }


def test_the_arrow_schema_is_the_contracts_columns_and_the_extra_ones(tmp_path: Path) -> None:
    contract = load(tmp_path)

    assert contract.arrow_schema == pa.schema(
        [
            pa.field("pickup_datetime", pa.timestamp("us")),
            pa.field("passenger_count", pa.int32()),
            pa.field("extra_columns", pa.string()),
        ]
    )
    assert [column.name for column in contract.table_columns] == ["source_month", *contract.arrow_schema.names]


def test_a_column_and_a_table_are_found_by_name(tmp_path: Path) -> None:
    contract = load(tmp_path)
    catalog = load_catalog(tmp_path / "boats.yaml")

    assert contract.column("passenger_count").type is ColumnType.INT32
    assert catalog.of_table("boats_trips") == contract
    assert isinstance(catalog, Catalog)
    with pytest.raises(KeyError):
        contract.column("captain")
    with pytest.raises(KeyError):
        catalog.of_table("boats")


def test_a_full_description_tells_unit_and_codes() -> None:
    assert YELLOW.column("trip_distance").full_description == "Distance the meter counted. Unit: miles."
    assert GREEN.column("store_and_fwd_flag").full_description.endswith(
        "Codes: Y = held in the vehicle before it was sent; N = sent at once."
    )


def test_a_layout_holds_from_its_month_on(tmp_path: Path) -> None:
    newer = {"since": "2021-06", "format": "csv", "header": ["started_at"]}
    parquet = {"since": "2020-02", "format": "parquet", "header": ["STARTED_AT"]}
    contract = changed(tmp_path, lambda it: it["layouts"].extend([newer, parquet]))

    headers = {key: contract.layout_of(Month.parse(key), "csv").header[0] for key in ("2019-01", "2021-05", "2021-06")}
    assert headers == {"2019-01": "Start_Time", "2021-05": "Start_Time", "2021-06": "started_at"}
    assert contract.layout_of(Month(2021, 6), "parquet").header == ("STARTED_AT",)


def test_words_for_codes_need_a_column_that_keeps_them_and_the_other_way_round(tmp_path: Path) -> None:
    column = {"name": "paid_text", "type": "string", "description": "Words.", "text_of": "passenger_count"}
    with pytest.raises(ContractError, match="each column with texts needs one that is text_of it"):
        changed(tmp_path, lambda it: it["columns"].append(column))
    with pytest.raises(ContractError, match="each column with texts needs one that is text_of it"):
        changed(tmp_path, lambda it: it["columns"][1].update(texts={"ONE": 1}))

    def both(it: dict[str, Any]) -> None:
        it["columns"][1].update(texts={"ONE": 1})
        it["columns"].append(column)

    assert changed(tmp_path, both).column("paid_text").published_names == ()


def test_a_published_name_is_found_whatever_its_case_and_blanks(tmp_path: Path) -> None:
    contract = load(tmp_path)

    assert contract.published_as(" PEOPLE ").name == contract.published_as("passenger_count").name == "passenger_count"
    with pytest.raises(KeyError):
        contract.published_as("crew")


@pytest.mark.parametrize("key", ["zone", "shape_id"], ids=["a column that may be empty", "no column"])
def test_the_key_of_a_reference_table_is_one_of_its_columns_and_required(key: str, tmp_path: Path) -> None:
    shipped = yaml.safe_load((Path(catalog.__file__).parent / "taxi_zones.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "zones.yaml"
    path.write_text(yaml.safe_dump(shipped | {"key": key}), encoding="utf-8")

    with pytest.raises(ContractError, match=f"the key, {key}, must be one of the columns, and required"):
        load_catalog(path)


def test_a_reference_table_without_a_key_is_no_contract(tmp_path: Path) -> None:
    shipped = yaml.safe_load((Path(catalog.__file__).parent / "taxi_zones.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "zones.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in shipped.items() if name != "key"}), encoding="utf-8")

    with pytest.raises(ContractError, match=r"key\s+Field required"):
        load_catalog(path)


def test_ids_that_are_derived_need_their_coordinates_and_a_column_that_says_so(tmp_path: Path) -> None:
    origin = {"name": "origin", "type": "string", "description": "Which.", "origin_of": ["passenger_count"]}

    def derived(place: list[str], *more: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
        def change(it: dict[str, Any]) -> None:
            it["columns"][1].update(zone_at=place)
            it["columns"].extend(more)

        return change

    with pytest.raises(ContractError, match="name columns that are not there: latitude, longitude"):
        changed(tmp_path, derived(["longitude", "latitude"], origin))
    numbers = [{"name": it, "type": "float64", "description": "Where."} for it in ("longitude", "latitude")]
    with pytest.raises(ContractError, match="each column with zone_at needs one that is origin_of it"):
        changed(tmp_path, derived(["longitude", "latitude"], *numbers))
    contract = changed(tmp_path, derived(["longitude", "latitude"], *numbers, origin))
    assert contract.column("origin").published_names == ()
