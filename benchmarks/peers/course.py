"""The script the Data Engineering Zoomcamp teaches, in its parts and whole.

    python -m benchmarks.peers.course clean RAW OUT snappy | gzip    CSV to cleaned Parquet, packed so
    python -m benchmarks.peers.course to_sql CLEANED                 Parquet to the database BENCH_POSTGRES_URL
    python -m benchmarks.peers.course job RAW                        CSV to the database BENCH_POSTGRES_URL

Columns are read in one piece (`low_memory=False`), as pandas asks for: the fares have a few words among the numbers.
"""

from __future__ import annotations

import os
import sys
from typing import Literal

import pandas as pd
from sqlalchemy import Engine, create_engine

from benchmarks.work import tell, work

_TABLE = "yellow_trips"
_TIMES = ("tpep_pickup_datetime", "tpep_dropoff_datetime")
_CHUNK_ROWS = 100_000


def cleaned(trips: pd.DataFrame) -> pd.DataFrame:
    """The two times as times, and no trips without passengers."""
    for name in _TIMES:
        trips[name] = pd.to_datetime(trips[name])
    return trips[trips["passenger_count"] != 0]


def clean(raw: str, out: str, compression: Literal["snappy", "gzip"]) -> None:
    """A CSV to Parquet."""
    cleaned(pd.read_csv(raw, low_memory=False)).to_parquet(out, compression=compression)


def to_sql(path: str) -> None:
    """A cleaned month to a table."""
    pd.read_parquet(path).to_sql(_TABLE, _engine(), if_exists="replace", index=False, chunksize=_CHUNK_ROWS)


def job(raw: str) -> int:
    """A CSV to a table, chunk by chunk; gives the rows that were written."""
    engine, rows = _engine(), 0
    for number, chunk in enumerate(pd.read_csv(raw, chunksize=_CHUNK_ROWS, low_memory=False)):
        kept = cleaned(chunk)
        kept.to_sql(_TABLE, engine, if_exists="append" if number else "replace", index=False)
        rows += len(kept)
    return rows


def _engine() -> Engine:
    return create_engine(os.environ["BENCH_POSTGRES_URL"])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["clean", raw, out, ("snappy" | "gzip") as compression]:
            with work():
                clean(raw, out, compression)
        case ["to_sql", path]:
            with work():
                to_sql(path)
        case ["job", raw]:
            with work():
                written = job(raw)
            tell(rows=written)
        case _:
            raise SystemExit(__doc__)
