"""The fingerprint is what docs/fingerprint.md says: plain Python that knows only that page finds the same."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.fingerprint import fingerprint_file
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.cleaning.months import YELLOW


def told(value: object) -> str:
    match value:
        case None:
            return "~"
        case str():
            return f"{len(value.encode())}:{value}"
        case datetime():
            since = value - datetime(1970, 1, 1)
            return f"{(since.days * 86_400 + since.seconds) * 10**6 + since.microseconds};"
        case float() if not math.isfinite(value):
            return f"{value};"
        case float() if abs(value) < 1e9 and round(value * 1e6) / 1e6 == value:
            return f"{round(value * 1e6)};"
        case float():
            power = next(it for it in range(-8, 9) if abs(Fraction(value)) < Fraction(2) ** (128 * it + 62))
            left = Fraction(value) / Fraction(2) ** (128 * power)
            second = (left - int(left)) * 2**60
            return f"{power}/{int(left)}/{int(second)}/{int((second - int(second)) * 2**60)};"
        case _:
            return f"{value};"


def test_plain_python_finds_the_same_fingerprint(tmp_path: Path) -> None:
    fares = [
        0.1,
        -0.0,
        0.1 + 0.2,
        math.nan,
        math.inf,
        -math.inf,
        1e300,
        -5e-324,
        1e9,
        2.0**62,
        -73.99195700000001,
        None,
    ]
    names = [column.name for column in YELLOW.stored_columns]
    time = datetime(3019, 1, 1, microsecond=1)
    rows = [dict.fromkeys(names) | {"pickup_datetime": time, "vendor_id": 2, "fare_amount": it} for it in fares]
    rows[3]["store_and_fwd_flag"] = "Zürich 🚕"
    path = tmp_path / "month.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=YELLOW.arrow_schema), path)

    digests = [hashlib.md5("".join(told(row[it]) for it in names).encode()).hexdigest() for row in rows]
    sums = (sum(int(it[first : first + 15], 16) for it in digests) % 2**60 for first in (0, 15))

    assert fingerprint_file(ParquetFile(path), YELLOW.stored_columns, tmp_path) == "".join(f"{it:015x}" for it in sums)
