"""What an object in a bucket says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from taxi_platform.core.parquet import ParquetFile


def in_ascii(metadata: Mapping[str, str]) -> dict[str, str]:
    """What an object says of itself, as a header can say it; a URL stays the same URL."""
    printable = "".join(map(chr, range(0x20, 0x7F)))
    return {name: quote(value, safe=printable) for name, value in metadata.items()}


def metadata_of(file: ParquetFile) -> dict[str, str]:
    """What an object says of itself to whoever lists the bucket."""
    lineage = file.lineage
    return {
        "sha256": file.sha256,
        "rows": str(file.rows),
        "dataset": lineage.dataset,
        "month": lineage.month,
        "source_url": lineage.source_url,
        "source_etag": lineage.source_etag,
        "source_sha256": lineage.source_sha256,
        "contract_version": lineage.contract_version,
    }
