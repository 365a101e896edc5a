"""What an object in a bucket says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from taxi_platform.core.parquet import ParquetFile

#: What an object is to who fetches it with a browser, by how its name ends.
_CONTENT_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "csv": "text/csv",
    "gz": "application/gzip",
}


def content_type_of(name: str) -> str:
    """The media type of an object, by its name."""
    return _CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


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
