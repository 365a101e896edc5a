"""What people are told of how a file was read, where it is not what its name and its columns promise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from taxi_platform.core.catalog.model import ColumnType, TripContract
from taxi_platform.core.cleaning.conversion import conversions, is_plain_text
from taxi_platform.core.cleaning.fields import RawTable
from taxi_platform.core.cleaning.parquet_reading import UTC
from taxi_platform.core.source.files import RawFile

_SHOWN_ROWS = 5
_NAMES_OF_UTC = (UTC, "+00:00", "-00:00")


def told_of(contract: TripContract, raw: RawFile, table: RawTable, headers: Sequence[int]) -> list[str]:
    """One sentence for each thing that had to be interpreted; none for a plain file.

    Args:
        contract: The dataset's contract.
        raw: The file.
        table: How it was read.
        headers: The numbers of the rows that say the header again.
    """
    return [
        *_of_bytes(raw),
        *table.told,
        *_of_times(contract, table),
        *_of_texts(contract, table),
        *_of_headers(headers),
    ]


def _of_bytes(raw: RawFile) -> Iterator[str]:
    if raw.contents is not None and raw.contents != raw.publication.edition:
        yield f"{raw.path.name} is a {'Parquet file' if raw.contents == 'parquet' else 'CSV'}, whatever its name says"
    if raw.text is not None and raw.text.is_packed != raw.path.name.endswith(".gz"):
        yield f"{raw.path.name} is {'' if raw.text.is_packed else 'not '}packed by gzip, whatever its name says"
    if raw.encoding == "latin-1":
        yield "lines that are not UTF-8 were read as latin-1"
    elif raw.encoding != "utf-8":
        yield f"the text is {raw.encoding.upper()}"


def _of_times(contract: TripContract, table: RawTable) -> Iterator[str]:
    for it in conversions(contract, table.fields):
        for field in it.fields if it.column.type is ColumnType.TIMESTAMP else ():
            if field.zone in _NAMES_OF_UTC:
                yield (
                    f"{field.label} holds instants of time zone UTC, which are kept as a clock of UTC shows them: "
                    "if they were New York's wall clock once, they are hours off"
                )
            elif field.zone:
                yield f"{field.label} holds instants, kept as the wall clock of the time zone it names, {field.zone}"


def _of_texts(contract: TripContract, table: RawTable) -> Iterator[str]:
    for it in conversions(contract, table.fields):
        for field in it.fields if it.column.type is ColumnType.STRING else ():
            if not is_plain_text(field):
                yield f"{field.label} holds {field.type} where text is due, and is kept as that is written"


def _of_headers(headers: Sequence[int]) -> Iterator[str]:
    if headers:
        rows = ", ".join(f"{it:,}" for it in headers[:_SHOWN_ROWS])
        more = ", …" if len(headers) > _SHOWN_ROWS else ""
        yield f"the header stands again in {len(headers):,} rows, which are in the quarantine: {rows}{more}"
