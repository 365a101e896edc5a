"""Every era TLC's files went through: generated as it was published, and read to the values a plain reader finds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog.layout import Layout
from taxi_platform.core.catalog.model import RuleAction, TripContract
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month, write_parquet_month
from taxi_platform_tests.core.cleaning import plain
from taxi_platform_tests.core.cleaning.months import CATALOG, HEADS, REAL_DATA, Outcome, clean_file

ROWS = 300
ERAS = [
    pytest.param(contract, layout, id=f"{contract.dataset}-{layout.format}-{layout.since}")
    for contract in CATALOG.trips.values()
    for layout in contract.layouts
]
every_era = pytest.mark.parametrize(("contract", "layout"), ERAS)
CSV_ERAS = [era for era in ERAS if "-csv-" in str(era.id)]
PARQUET_ERAS = [era for era in ERAS if "-parquet-" in str(era.id)]
#: Parquet types of columns that changed from era to era, as pyarrow names them.
PARQUET_TYPES = {
    ("yellow", "2009-01"): {"vendor_name": "string", "Payment_Type": "string", "Rate_Code": "double"},
    ("yellow", "2010-02"): {"vendor_id": "string", "rate_code": "string", "__index_level_0__": "int64"},
    ("yellow", "2011-01"): {"VendorID": "int64", "passenger_count": "int64", "airport_fee": "null"},
    ("yellow", "2019-01"): {"passenger_count": "double", "RatecodeID": "double", "airport_fee": "double"},
    ("yellow", "2023-02"): {"VendorID": "int32", "passenger_count": "int64", "Airport_fee": "double"},
    ("yellow", "2025-01"): {"PULocationID": "int32", "cbd_congestion_fee": "double"},
    ("yellow", "2026-06"): {"request_source": "string"},
    ("green", "2014-01"): {"VendorID": "int64", "ehail_fee": "null", "trip_type": "double", "payment_type": "double"},
    ("green", "2023-02"): {"VendorID": "int32", "ehail_fee": "double", "trip_type": "int64"},
    ("fhv", "2015-01"): {"PUlocationID": "double", "SR_Flag": "null", "Affiliated_base_number": "string"},
    ("fhv", "2023-01"): {"PUlocationID": "int64", "dropOff_datetime": "timestamp[us]"},
    ("fhvhv", "2019-02"): {"trip_time": "int64", "PULocationID": "int64", "wav_match_flag": "string"},
    ("fhvhv", "2025-01"): {"PULocationID": "int32", "cbd_congestion_fee": "double"},
}


def untidy(contract: TripContract) -> TripContract:
    """The contract, with so many garbled values that a small month has some."""
    return contract.model_copy(
        update={"sample": contract.sample.model_copy(update={"garbled_share": 0.02, "duplicate_share": 0.02})}
    )


def written(contract: TripContract, layout: Layout, month: Month, folder: Path, rows: int = ROWS) -> Path:
    path = folder / f"{contract.dataset}_tripdata_{month}.{layout.format}"
    write = write_month if layout.format == "csv" else write_parquet_month
    write(untidy(contract), month, rows, path)
    return path


def cleaned(contract: TripContract, layout: Layout, folder: Path) -> Outcome:
    return clean_file(written(contract, layout, layout.since, folder), contract, str(layout.since))


def heads_of(contract: TripContract, layout: Layout) -> list[Path]:
    """The real heads of the layout's months: one in the repository, and more where they lie beside it."""
    return [
        path
        for folder in (HEADS, REAL_DATA / "heads")
        for path in sorted(folder.glob(f"{contract.dataset}_tripdata_*.csv"))
        if contract.layout_of(Month.parse(path.stem[-7:]), "csv") == layout
    ]


@every_era
def test_a_month_of_any_era_is_read_whole_into_the_one_schema(
    contract: TripContract, layout: Layout, tmp_path: Path
) -> None:
    outcome = cleaned(contract, layout, tmp_path)

    assert outcome.raw.rows == ROWS
    assert outcome.is_conserved
    assert outcome.cleaned.schema.equals(contract.arrow_schema)
    assert outcome.unknown_columns == {}
    assert outcome.extras == [None] * outcome.cleaned.num_rows
    garbled = [row for row in outcome.turned_away if "unreadable" in row["broken_rules"]]
    assert all(row["unreadable_columns"] == [contract.sample.garbled_column] for row in garbled)
    assert all("#VALUE!" in json.loads(row["original"]).values() for row in garbled)
    rejecting = {rule.name for rule in contract.rules if rule.action is RuleAction.REJECT}
    assert all(rejecting & set(row["broken_rules"]) for row in outcome.turned_away)
    has_garbled_column = any(
        contract.published_as(it).name == contract.sample.garbled_column
        for it in layout.header
        if it != "__index_level_0__"
    )
    assert bool(garbled) == (layout.format == "csv" and has_garbled_column)


@every_era
def test_a_month_of_any_era_has_the_values_a_plain_reader_finds(
    contract: TripContract, layout: Layout, tmp_path: Path
) -> None:
    outcome = cleaned(contract, layout, tmp_path)
    rows = plain.rows_of(outcome.raw.path, contract.dataset)

    assert outcome.rows == [{**row, "extra_columns": None} for row in rows if not plain.is_turned_away(row)]
    turned_away = [(number, row) for number, row in enumerate(rows, start=1) if plain.is_turned_away(row)]
    assert [row["row_number"] for row in outcome.turned_away] == [number for number, _ in turned_away]
    for ours, (_, theirs) in zip(outcome.turned_away, turned_away, strict=True):
        assert ours["unreadable_columns"] == [name for name, value in theirs.items() if value is plain.BROKEN]
        assert {name: ours[name] for name in theirs} == {
            name: None if value is plain.BROKEN else value for name, value in theirs.items()
        }


@every_era
def test_every_column_of_a_layout_is_read_into_a_column_that_is_filled(
    contract: TripContract, layout: Layout, tmp_path: Path
) -> None:
    outcome = cleaned(contract, layout, tmp_path)

    canonical = {
        name: (kind, set(names) & {it.strip() for it in layout.header})
        for name, (kind, names) in plain.columns_of(contract.dataset).items()
    }
    for name, (_, published) in canonical.items():
        never = name == "ehail_fee" or "null" in {layout.types.get(it) for it in published}
        assert bool(outcome.cleaned[name].null_count < outcome.cleaned.num_rows) == bool(
            (published and not never)
            or (name in ("vendor_text", "payment_text") and layout.texts)
            or (name == "location_id_origin" and canonical["pickup_location_id"][1])
        ), name
    read = {name: {field.strip() for field in fields} for name, fields in outcome.month.sources.items() if fields}
    assert {name: fields for name, fields in read.items() if not name.endswith(("_text", "_origin"))} == {
        name: published for name, (_, published) in canonical.items() if published
    }


@pytest.mark.parametrize(("contract", "layout"), CSV_ERAS)
def test_a_generated_csv_begins_like_the_real_files_of_its_era(
    contract: TripContract, layout: Layout, tmp_path: Path
) -> None:
    heads = heads_of(contract, layout)
    assert heads
    ours = written(contract, layout, layout.since, tmp_path, rows=20).read_bytes().split(b"\n")

    for path in heads:
        theirs = path.read_bytes().split(b"\n")
        assert ours[0] == theirs[0], path.name
        first = next(number for number, line in enumerate(theirs[1:], start=1) if line.strip(b"\r"))
        assert ours[1:first] == theirs[1:first], path.name
        assert shape(ours[first:-1]) == shape(theirs[first:-1]), path.name


def shape(lines: list[bytes]) -> set[tuple[int, bool, bytes]]:
    """What the rows of a file have in common: how many fields, whether the first is quoted, how they end."""
    return {(len(next(csv.reader([it.decode("latin-1").strip("\r")]))), it[:1] == b'"', it[-1:]) for it in lines}


@pytest.mark.parametrize(("contract", "layout"), CSV_ERAS)
def test_a_generated_csv_has_the_quirks_its_layout_tells(
    contract: TripContract, layout: Layout, tmp_path: Path
) -> None:
    content = written(contract, layout, layout.since, tmp_path, rows=20).read_bytes()
    end = {(): "\r\n", ("LF", "CRLF"): "\n\n\r\n", ("CRLF",): "\n\r\n"}[layout.blank_lines]
    header = ",".join(f'"{name}"' if layout.quoted else name for name in layout.header) + end

    assert content.startswith(header.encode())
    rows = content.removeprefix(header.encode()).decode().split("\r\n")
    assert (len(rows), rows.pop()) == (21, "")
    for row in rows:
        assert "\n" not in row
        fields = row.split(",")
        assert len(fields) == len(layout.header) + layout.junk_fields
        assert fields[len(layout.header) :] == [""] * layout.junk_fields
        assert {field[:1] + field[-1:] == '""' for field in fields} == {layout.quoted}


@pytest.mark.parametrize(("contract", "layout"), CSV_ERAS)
def test_no_era_needs_the_slow_reader(contract: TripContract, layout: Layout, tmp_path: Path) -> None:
    outcome = cleaned(contract, layout, tmp_path)

    assert not outcome.raw.path.with_name(f"{outcome.raw.path.name}.work").joinpath("lines.parquet").exists()


@pytest.mark.parametrize(("contract", "layout"), PARQUET_ERAS)
def test_a_generated_parquet_file_has_the_columns_and_types_of_its_era(
    contract: TripContract, layout: Layout, tmp_path: Path
) -> None:
    schema = pq.read_schema(written(contract, layout, layout.since, tmp_path, rows=5))

    assert tuple(schema.names) == layout.header
    for name, kind in PARQUET_TYPES.get((contract.dataset, str(layout.since)), {}).items():
        assert str(schema.field(name).type) == kind, name
    times = {str(schema.field(name).type) for name in schema.names if "date" in name.lower()}
    assert times == {"timestamp[us]"}


def test_the_types_expected_of_parquet_eras_are_of_eras_that_are() -> None:
    eras = {(era.values[0].dataset, str(era.values[1].since)) for era in PARQUET_ERAS}  # pyright: ignore
    assert PARQUET_TYPES.keys() <= eras
