"""`fhv_bases` and `<table>_with_bases`: who stands behind the number of a base, in every warehouse."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.warehouse import Warehouse, open_warehouse
from taxi_platform_tests.core.warehouse.months import FEBRUARY, JANUARY, month_file
from taxi_platform_tests.core.warehouse.test_warehouses import WAREHOUSES

CATALOG = load_catalog()
REPORT = CATALOG.reports["fhv_base_report"]
FHV, FHVHV = CATALOG.trips["fhv"], CATALOG.trips["fhvhv"]
OLD, NEW = date(2020, 12, 1), date(2021, 1, 1)


@pytest.fixture(params=WAREHOUSES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    return open_warehouse(request.param(request, tmp_path).url, CATALOG.zones, bases=REPORT)


def report_of(*rows: tuple[date, str, str, str]) -> pa.Table:
    schema = pa.schema([(it.name, it.type.arrow) for it in REPORT.columns])
    names = ("report_month", "base_number", "base_name", "trade_name")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema)


def asked(warehouse: Warehouse, select: str, view: str, order: str) -> list[tuple[Any, ...]]:
    name = warehouse.table_name(REPORT).replace(REPORT.table, view)
    rows = warehouse.ask(f"SELECT {select} FROM {name} ORDER BY {order}", "a test")
    return [tuple(row.values()) for row in rows]


def test_trips_have_the_names_of_their_bases_each_once_whatever_the_report_holds(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    fhv = [
        {"dispatching_base_num": number, "affiliated_base_number": own, "pickup_location_id": place}
        for place, (number, own) in enumerate(
            [("B00001", "B00002"), (" b00001", None), ("B09999", ""), (None, "B00001")]
        )
    ]
    fhvhv = [
        {"hvfhs_license_num": licence, "dispatching_base_num": number, "pickup_location_id": place}
        for place, (licence, number) in enumerate([("HV0003", "B02764"), ("HV0005", "B00001"), ("HV0009", "B02764")])
    ]
    warehouse.replace_month(FHV, JANUARY, month_file(FHV, JANUARY, fhv, tmp_path / "fhv"))
    with_bases = ("dispatching_base_name, affiliated_base_name", "fhv_trips_with_bases", "pickup_location_id")
    assert asked(warehouse, *with_bases) == [(None, None)] * 4  # the report may come later

    rows = report_of(
        (OLD, "B00001", "OLD NAME", ""),
        (NEW, "b00001", "ONE CAR SERVICE", "ONE"),
        (NEW, "B00002", "TWO, INC", ""),
        (NEW, "UBER", "UBER", "UBER"),
    )
    assert warehouse.replace_reference(REPORT, rows) == 4
    assert asked(warehouse, *with_bases) == [
        ("ONE CAR SERVICE", "TWO, INC"),
        ("ONE CAR SERVICE", None),
        (None, None),
        (None, "ONE CAR SERVICE"),
    ]
    assert asked(warehouse, "*", "fhv_bases", "base_number") == [
        ("B00001", "ONE CAR SERVICE", "ONE", OLD, NEW),
        ("B00002", "TWO, INC", None, NEW, NEW),
        ("UBER", "UBER", "UBER", NEW, NEW),
    ]
    # High volume services are in the report by company.
    warehouse.replace_month(FHVHV, FEBRUARY, month_file(FHVHV, FEBRUARY, fhvhv, tmp_path / "fhvhv"))
    named = asked(warehouse, "dispatching_base_name", "fhvhv_trips_with_bases", "pickup_location_id")
    assert named == [("UBER",), ("ONE CAR SERVICE",), (None,)]

    numbers = warehouse.read_reference(REPORT)["base_number"].to_pylist()
    assert sorted(map(str, numbers)) == ["B00001", "B00002", "UBER", "b00001"]
    # A month that comes again finds its views as they are.
    warehouse.replace_month(FHV, JANUARY, month_file(FHV, JANUARY, fhv[:1], tmp_path / "again"))
    assert asked(warehouse, *with_bases) == [("ONE CAR SERVICE", "TWO, INC")]
