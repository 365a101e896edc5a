"""The least each stage could cost: the engine's own statement for the same bytes or rows, and nothing around it.

    python -m benchmarks.bare clean RAW OUT
    python -m benchmarks.bare unpacked RAW OUT                         unpack, then clean
    python -m benchmarks.bare lake CLEANED OUT
    python -m benchmarks.bare duckdb CLEANED WAREHOUSE insert | unordered | replace
    python -m benchmarks.bare postgres CONNINFO TABLE BINARY
    python -m benchmarks.bare checks CLEANED
    python -m benchmarks.bare job RAW OUT CLEANED WAREHOUSE            clean, then insert
    python -m benchmarks.bare job RAW OUT CONNINFO TABLE BINARY        clean, then PostgreSQL's COPY

The engines have their own defaults, and the clock runs from connecting to having closed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import duckdb
import psycopg
from isal import igzip

from benchmarks.work import work

_TABLE = "taxi.yellow_trips"
_MONTH = "DATE '2021-01-01'"
_NUMERIC = "'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'FLOAT', 'DOUBLE'"


def copy(raw: str, out: str) -> None:
    """A CSV to Parquet, types guessed, nothing judged; packed as the platform packs."""
    options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
    with duckdb.connect() as con:
        con.execute(f"COPY (SELECT * FROM read_csv('{raw}')) TO '{out}' ({options})")


def unpack(raw: str, out: str) -> None:
    """A gzip file, by the library the platform unpacks with."""
    with igzip.IGzipFile(raw, "rb") as packed, Path(out).open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)


def insert(cleaned: str, warehouse: str, how: str) -> None:
    """The rows of a Parquet file into a DuckDB table, in a transaction."""
    with duckdb.connect(warehouse) as con:
        con.begin()
        if how == "unordered":
            con.execute("SET preserve_insertion_order = false")
        if how == "replace":
            con.execute(f"DELETE FROM {_TABLE} WHERE source_month = {_MONTH}")
        con.execute(f"INSERT INTO {_TABLE} BY NAME SELECT {_MONTH} AS source_month, * FROM read_parquet('{cleaned}')")
        con.commit()


def scan(cleaned: str) -> None:
    """Every number of a Parquet file, once."""
    with duckdb.connect() as con:
        described = f"(DESCRIBE FROM read_parquet('{cleaned}'))"
        names = con.execute(f"SELECT column_name FROM {described} WHERE column_type IN ({_NUMERIC})").fetchall()
        sums = ", ".join(f"sum({name})" for (name,) in names)
        con.execute(f"SELECT count(*), {sums} FROM read_parquet('{cleaned}')").fetchall()


def make_empty(conninfo: str, table: str) -> None:
    """A PostgreSQL table with the columns of another, and nothing else of it."""
    with psycopg.connect(conninfo, autocommit=True) as con:
        con.execute("DROP TABLE IF EXISTS bare")
        con.execute(f"CREATE TABLE bare (LIKE {table})".encode())


def copy_into(conninfo: str, binary: str) -> None:
    """A file of the server's into that table."""
    with psycopg.connect(conninfo, autocommit=True) as con:
        con.execute(f"COPY bare FROM '{binary}' (FORMAT binary)".encode())


def main(arguments: list[str]) -> None:
    """Do what was asked."""
    match arguments:
        case ["clean", raw, out]:
            with work():
                copy(raw, out)
        case ["unpacked", raw, out]:
            with work():
                unpack(raw, f"{out}.csv")
                copy(f"{out}.csv", out)
        case ["lake", cleaned, out]:
            with work():
                shutil.copyfile(cleaned, out)
        case ["duckdb", cleaned, warehouse, "insert" | "unordered" | "replace" as how]:
            with work():
                insert(cleaned, warehouse, how)
        case ["postgres", conninfo, table, binary]:
            make_empty(conninfo, table)
            with work():
                copy_into(conninfo, binary)
        case ["checks", cleaned]:
            with work():
                scan(cleaned)
        case ["job", raw, out, cleaned, warehouse]:
            with work():
                copy(raw, out)
                insert(cleaned, warehouse, "insert")
        case ["job", raw, out, conninfo, table, binary]:
            make_empty(conninfo, table)
            with work():
                copy(raw, out)
                copy_into(conninfo, binary)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
