"""Is what a lake holds what was cleaned, byte for byte?"""

from __future__ import annotations

from taxi_platform.core.findings import Finding
from taxi_platform.core.parquet import ParquetFile


def lake_matches_cleaned(cleaned: ParquetFile, in_lake: ParquetFile) -> Finding:
    """The object in the lake is the cleaned file, byte for byte."""
    same = cleaned.sha256 == in_lake.sha256
    return Finding(
        holds=same,
        says="the same bytes" if same else "the lake holds other bytes than the cleaned file; run the month again",
        figures={"SHA-256 of the cleaned file": cleaned.sha256, "SHA-256 of the lake's object": in_lake.sha256},
    )
