"""The fingerprint is what docs/fingerprint.md says: plain Python that knows only that page finds the same."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.fingerprint import Fingerprint, fingerprint_file
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.cleaning.months import YELLOW
from taxi_platform_tests.core.fingerprints import fingerprint


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

    found = fingerprint_file(ParquetFile(path), YELLOW.stored_columns, tmp_path)

    assert found == Fingerprint(len(rows), fingerprint(rows))
