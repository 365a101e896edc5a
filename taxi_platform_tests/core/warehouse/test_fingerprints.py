"""Whatever is done to a month shows in its fingerprint, in the SQL of every store; nothing else does."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pgpq
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

from real_servers.postgres import PostgresServer
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.fingerprint import fingerprint_file, make_fingerprint
from taxi_platform.core.fingerprint.words import BIGQUERY, DUCKDB, POSTGRES, Words
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse import Warehouse, open_warehouse
from taxi_platform.core.warehouse.postgres.schema import TYPES
from taxi_platform_tests.core.cleaning.months import HEADS, clean_copy
from taxi_platform_tests.core.fingerprints import fingerprint
from taxi_platform_tests.core.warehouse.bigquery_server import BigQueryServer
from taxi_platform_tests.core.warehouse.bigquery_store import in_duckdb
from taxi_platform_tests.core.warehouse.months import contract_of

COLUMNS = {
    "pickup_datetime": "timestamp",
    "dropoff_datetime": "timestamp",
    "vendor_id": "int32",
    "passenger_count": "int32",
    "trip_number": "int64",
    "fare_amount": "float64",
    "tip_amount": "float64",
    "note": "string",
    "flag": "string",
    "licensed_on": "date",
}
CONTRACT = contract_of(COLUMNS)
NAMES = [column.name for column in CONTRACT.stored_columns]
KINDS = {column.name: column.type.value for column in CONTRACT.stored_columns}
#: A number no edition has, where a query's text is made once.
EDITION = 987_654_321
USUAL = [0.0, 0.01, 0.1 + 0.2, 137_438.0, -73.99195700000001]
EDGES = [math.inf, -math.inf, math.nan, 1e300, 5e-324, 2.0**62]
TEXTS = ["Zürich 🚕", "~", "", "1:a", "it's", "出租车", ";", "N", "Y", "שלום"]

Row = dict[str, Any]
Ask = Callable[[str], Iterable[Any]]


def a_value(kind: str, seeded: random.Random, edges: list[float] = EDGES) -> Any:
    if seeded.random() < 0.15:
        return None
    match kind:
        case "timestamp":
            start = datetime(seeded.choice([1969, 2021, 2021, 2021, 3019]), 1, 1)
            return start + timedelta(seconds=seeded.randrange(10**6), microseconds=seeded.choice([0, 1, 999_999]))
        case "date":
            return date(2020, 1, 1) + timedelta(days=seeded.randrange(400))
        case "int32":
            return seeded.choice([*range(-2, 7), 2**31 - 1, -(2**31)])
        case "int64":
            return seeded.choice([seeded.randrange(-(2**63), 2**63), seeded.randrange(100)])
        case "float64":
            return seeded.choice([*edges, *USUAL, *(round(seeded.uniform(-9, 300), 2) for _ in range(30))])
        case _:
            return seeded.choice(TEXTS)


def same(one: Any, other: Any) -> bool:
    return one == other or (one is not None and other is not None and one != one and other != other)


def content(rows: Iterable[Row]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple("nan" if same(it, math.nan) else it for it in row.values()) for row in rows)


def edited(rows: list[Row], seeded: random.Random) -> list[Row]:
    """The rows with one mistake: a cell, two values that changed places, a row twice, a row less."""
    rows = [dict(row) for row in rows]
    one, other = seeded.sample(rows, 2)
    name = seeded.choice(list(COLUMNS))
    match seeded.choice(["cell", "cell", "rows", "rows", "columns", "twice", "less"]):
        case "cell":
            one[name] = a_value(KINDS[name], seeded)
        case "rows":
            one[name], other[name] = other[name], one[name]
        case "columns":
            name, second = seeded.choice(
                [
                    ("fare_amount", "tip_amount"),
                    ("note", "flag"),
                    ("pickup_datetime", "dropoff_datetime"),
                    ("vendor_id", "passenger_count"),
                ]
            )
            one[name], one[second] = one[second], one[name]
        case "twice":
            rows.append(dict(one))
        case _:
            rows.remove(one)
    return rows


def editions(count: int) -> list[list[Row]]:
    """The month as it is, and so many in which something is another."""
    seeded = random.Random(8)
    # No doubles that are told by their digits: a month that has none is asked for once, as most are.
    month = [{it: a_value(KINDS[it], seeded, []) if it in COLUMNS else None for it in NAMES} for _ in range(12)]
    found = [month]
    while len(found) <= count:
        changed = edited(month, seeded)
        if content(changed) != content(month):
            found.append(changed)
    return found


def table_of(months: list[list[Row]]) -> pa.Table:
    schema = CONTRACT.arrow_schema.append(pa.field("edition", pa.int32()))
    rows = [row | {"edition": number} for number, month in enumerate(months) for row in month]
    return pa.Table.from_pylist(rows, schema=schema)


def duckdb_asked(request: pytest.FixtureRequest, rows: pa.Table) -> tuple[Words, Ask]:
    con = duckdb.connect()
    con.execute("CREATE TABLE trips AS FROM rows ORDER BY edition")
    return DUCKDB, lambda query: con.execute(query).fetchall()[0]


def postgres_asked(request: pytest.FixtureRequest, rows: pa.Table) -> tuple[Words, Ask]:
    server: PostgresServer = request.getfixturevalue("postgres")
    con = psycopg.connect(server.new_database(), autocommit=True)
    request.addfinalizer(con.close)
    columns = [*((it.name, TYPES[it.type]) for it in CONTRACT.stored_columns), ("edition", "integer")]
    con.execute(f"CREATE TABLE trips ({', '.join(map(' '.join, columns))})".encode())
    encoder = pgpq.ArrowToPostgresBinaryEncoder(rows.schema)
    with con.cursor() as cursor, cursor.copy("COPY trips FROM STDIN (FORMAT binary)") as copy:
        copy.write(encoder.write_header())
        for batch in rows.to_batches():
            copy.write(encoder.write_batch(batch))
        copy.write(encoder.finish())
    con.execute("CREATE INDEX ON trips (edition)")
    return POSTGRES, lambda query: con.execute(query.encode()).fetchall()[0]


def bigquery_asked(request: pytest.FixtureRequest, rows: pa.Table) -> tuple[Words, Ask]:
    """BigQuery's SQL, translated once as its stand-in does it: that takes a hundred times as long as to answer."""
    _, ask = duckdb_asked(request, rows)
    made: dict[str, str] = {}

    def translated(query: str) -> Iterable[Any]:
        edition = query.split("edition = ")[1].split()[0]
        general = query.replace(f"edition = {edition}", f"edition = {EDITION}")
        if general not in made:
            made[general] = in_duckdb(sqlglot.parse_one(general, dialect="bigquery"))
        return ask(made[general].replace(str(EDITION), edition))

    return BIGQUERY, translated


ASKED = [duckdb_asked, postgres_asked, bigquery_asked]


def fingerprints(words: Words, ask: Ask, months: list[list[Row]]) -> Iterator[str]:
    for number, month in enumerate(months):
        # As a check hands on what the file's statistics say: every other time, of some columns.
        nulls = {"extra_columns"} if number % 2 else set[str]()
        found = make_fingerprint(
            ask, CONTRACT.stored_columns, NAMES, f"FROM trips WHERE edition = {number} ", words, nulls
        )
        assert found.rows == len(month)
        yield found.digits


def require_every_edit_noticed(
    prepare: Callable[[pytest.FixtureRequest, pa.Table], tuple[Words, Ask]],
    request: pytest.FixtureRequest,
    count: int,
) -> None:
    months = editions(count)
    original, *others = fingerprints(*prepare(request, table_of(months)), months)
    unseen = [it for it, digits in enumerate(others, 1) if digits == original]
    assert unseen == []
    assert original == fingerprint(months[0], wide=["trip_number"])
    assert others[0] == fingerprint(months[1], wide=["trip_number"])


@pytest.mark.parametrize("prepare", ASKED)
def test_every_edit_of_a_few_changes_the_fingerprint(
    prepare: Callable[[pytest.FixtureRequest, pa.Table], tuple[Words, Ask]], request: pytest.FixtureRequest
) -> None:
    require_every_edit_noticed(prepare, request, 120)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("prepare", ASKED)
def test_every_edit_of_ten_thousand_changes_the_fingerprint(
    prepare: Callable[[pytest.FixtureRequest, pa.Table], tuple[Words, Ask]], request: pytest.FixtureRequest
) -> None:
    require_every_edit_noticed(prepare, request, 10_000)


def stores(request: pytest.FixtureRequest, folder: Path) -> Mapping[str, Warehouse]:
    postgres: PostgresServer = request.getfixturevalue("postgres")
    bigquery: BigQueryServer = request.getfixturevalue("bigquery")
    urls = {
        "duckdb": f"duckdb:///{folder}/warehouse.duckdb",
        "postgres": postgres.new_database(),
        "bigquery": bigquery.url(),
    }
    return {name: open_warehouse(url) for name, url in urls.items()}


def require_one_fingerprint(head: Path, request: pytest.FixtureRequest, folder: Path) -> None:
    dataset, key = head.name.split(".")[0].split("_tripdata_")
    contract, month = load_catalog().trips[dataset], Month.parse(key)
    cleaned = clean_copy(head, folder, contract).month.cleaned
    in_file = fingerprint_file(cleaned, contract.stored_columns, folder)
    rows = pq.read_table(cleaned.path).to_pylist()
    assert cleaned.lineage.fingerprint == in_file.digits == fingerprint(rows), head.name
    for name, store in stores(request, folder).items():
        store.replace_month(contract, month, cleaned)
        assert store.fingerprint_month(contract, month, cleaned.null_columns) == in_file, (head.name, name)


def test_the_fingerprint_of_a_real_month_is_the_same_wherever_it_is_worked_out(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    require_one_fingerprint(HEADS / "yellow_tripdata_2014-01.csv", request, tmp_path)


@pytest.mark.campaign
@pytest.mark.parametrize("head", sorted(HEADS.glob("*_tripdata_*")), ids=lambda it: it.name)
def test_the_fingerprint_of_every_real_month_is_the_same_wherever_it_is_worked_out(
    head: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    require_one_fingerprint(head, request, tmp_path)
