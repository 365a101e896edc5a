"""Is a file that arrived what it should be, and how many rows does it hold?

What it is, its bytes say and not its name (`contents.py`). A CSV is read to its end and its lines are counted
(`text.py`), of a Parquet file every page is decoded (`parquet_check.py`); neither is how rows are read later, so that
none can be lost unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core.source.contents import (
    DAMAGED,
    DamagedParquetError,
    Edition,
    Encoding,
    ForeignFileError,
    identify,
)
from taxi_platform.core.source.errors import CorruptError
from taxi_platform.core.source.files import Publication
from taxi_platform.core.source.text import CsvText, UnreadableTextError, examine

#: Characters shown of a text that is none of a table.
_SHOWN = 100


@dataclass(frozen=True)
class Inspection:
    """What one pass over a file found out; see `RawFile` for what the fields mean."""

    rows: int
    encoding: Encoding
    cut_line: str | None = None
    contents: Edition = "csv"
    text: CsvText | None = None


def inspect(path: Path, publication: Publication, about: str) -> Inspection:
    """Verify a file that was fetched, and count its rows.

    Args:
        path: The file as it arrived.
        publication: What its source announced.
        about: What it is to people, for the error.

    Raises:
        CorruptError: It is cut, damaged, empty, or nothing that is read here.
    """
    size = path.stat().st_size

    def corrupt(what: str, cause: str, fix: str = "") -> CorruptError:
        return CorruptError(
            what,
            about=about,
            where=publication.url,
            cause=cause,
            fix=fix or "materialize the month again later; if it stays so, the source's copy is broken",
        )

    if publication.bytes not in (None, size):
        figures = f"expected {publication.bytes:,} bytes, got {size:,}"
        raise corrupt(f"the file is not complete ({figures})", "the transfer ended early")
    if not size:
        raise corrupt("the file is empty (0 bytes)", "the source published an empty file")
    try:
        contents = identify(path)
        if contents.edition == "parquet":
            # Only who has a Parquet file waits for pyarrow's functions to be imported.
            from taxi_platform.core.source.parquet_check import verify_parquet

            return Inspection(verify_parquet(path), "utf-8", contents="parquet")
        examined = examine(path, contents)
    except ForeignFileError as error:
        if error.what == "a web page":
            cause = "the source answers with a maintenance or error page"
            raise corrupt(f"a web page came instead of the file ({size:,} bytes)", cause) from error
        raise corrupt(
            f"the file is {error.what}, not a CSV, a CSV packed by gzip, or a Parquet file",
            f"the source publishes it like that, whatever the name {publication.name} says",
            error.fix,
        ) from error
    except UnreadableTextError as error:
        raise corrupt(str(error), "line ends or quotes were lost, or this is no table at all") from error
    except DAMAGED as error:
        raise corrupt(f"the gzip file does not read to its end ({size:,} bytes)", str(error)) from error
    except DamagedParquetError as error:
        raise corrupt(f"the Parquet file is damaged or cannot be read ({size:,} bytes)", str(error)) from error
    if not examined.lines:
        raise corrupt("the file has no header", "the source published an empty file")
    if examined.lines == 1 and "," not in examined.header:
        raise corrupt(
            f"a text came instead of the file: {examined.header[:_SHOWN]!r}",
            "the source answers so that it has no file",
        )
    return Inspection(examined.lines - 1, examined.encoding, examined.cut_line, text=examined.text)
