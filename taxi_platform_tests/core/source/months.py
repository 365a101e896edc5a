"""Small files of green 2020-04, as the tests serve them."""

from __future__ import annotations

import gzip
import io
import random

import pyarrow as pa
import pyarrow.parquet as pq

CSV_GZ = "green_tripdata_2020-04.csv.gz"
CSV = "green_tripdata_2020-04.csv"
PARQUET = "green_tripdata_2020-04.parquet"


def csv(rows: int, seed: int = 0) -> bytes:
    """A CSV that hardly compresses: what an interrupted download holds is then not the whole file by chance."""
    numbers = random.Random(seed)
    return b"VendorID,noise\r\n" + b"".join(b"2,%s\r\n" % numbers.randbytes(40).hex().encode() for _ in range(rows))


def csv_gz(rows: int, seed: int = 0) -> bytes:
    """The same, packed."""
    return gzip.compress(csv(rows, seed), mtime=0)


def parquet(rows: int) -> bytes:
    """A Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"VendorID": [2] * rows}), buffer)
    return buffer.getvalue()
