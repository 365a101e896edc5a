"""How many rows a Parquet file has, from its last bytes: a file of hundreds of megabytes need not be fetched for it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.source.files import Publication
from taxi_platform.core.urls import local_path

#: Most footers of TLC's are smaller; a larger one is asked for once more, whole.
_TAIL_BYTES = 65_536
_LARGEST_FOOTER = 64_000_000
_TIMEOUT_SECONDS = 10.0
_MAGIC = b"PAR1"


def rows_in_footer(publication: Publication, url: str) -> int | None:
    """Rows of a Parquet file where it lies; None where that cannot be told, for whatever reason.

    Args:
        publication: What its source announces of it.
        url: Where it is, with what is needed to get there.
    """
    if publication.edition != "parquet":
        return None
    try:
        if (path := local_path(url)) is not None:
            return pq.ParquetFile(path).metadata.num_rows
        return _rows_at(url, publication.bytes) if publication.bytes else None
    except (OSError, ValueError, pa.ArrowException):  # it only makes a plan less exact
        return None


def _rows_at(url: str, size: int) -> int | None:
    tail = _last_bytes(url, size, min(_TAIL_BYTES, size))
    needed = int.from_bytes(tail[-8:-4], "little") + 8
    if tail[-4:] != _MAGIC or needed > _LARGEST_FOOTER:
        return None
    if needed > size:
        return None
    if needed > len(tail):
        tail = _last_bytes(url, size, needed)
    # The footer says nothing of what is before it: to its reader, this is a file.
    return pq.ParquetFile(pa.BufferReader(_MAGIC + tail[-needed:])).metadata.num_rows


def _last_bytes(url: str, size: int, count: int) -> bytes:
    import requests  # only who asks a server waits for it to be imported

    answer = requests.get(url, headers={"Range": f"bytes={size - count}-"}, timeout=_TIMEOUT_SECONDS, stream=True)
    with answer:
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            raise ValueError("the server sends files only whole")
        return answer.raw.read(count)
