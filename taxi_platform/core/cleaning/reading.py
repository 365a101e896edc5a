"""How a raw file is read, whichever edition it is: the fast way, and if that does not yield every row, the sure one.

A file is read by the header it has, never by what its month should have. How each edition is read is in
`csv_reading.py` and `parquet_reading.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa

from taxi_platform.core.cleaning.csv_reading import are_malformed_lines_of, csv_table, line_table
from taxi_platform.core.cleaning.fields import RawTable
from taxi_platform.core.cleaning.parquet_reading import parquet_table, rewritten_table
from taxi_platform.core.engine import connect, identifier
from taxi_platform.core.source.files import RawFile

#: What a reader raises where the other one may still read the file.
REFUSED = (
    duckdb.InvalidInputException,  # bytes that the reader stops at
    duckdb.OutOfMemoryException,  # bytes that it looks past for the end of a line until memory ends
    duckdb.IOException,  # Parquet it cannot make sense of
    duckdb.NotImplementedException,
    duckdb.ConversionException,
)


def is_refusal(error: duckdb.Error) -> bool:
    """Whether the other reader may still read what this error is of; a bare error is of a footer's bytes."""
    return isinstance(error, REFUSED) or type(error) is duckdb.Error


def readers(raw: RawFile, con: duckdb.DuckDBPyConnection, work: Path) -> tuple[Callable[[], RawTable], ...]:
    """The ways to read a file, the fast one first.

    Args:
        raw: The file.
        con: What will read it.
        work: A folder for the time of the reading: a packed file is unpacked there, to some ten times its size.
    """
    if raw.edition == "parquet":
        return (lambda: parquet_table(raw, con, work), lambda: rewritten_table(raw, con, work))
    return (lambda: csv_table(raw, work), lambda: line_table(raw, work))


def is_every_row(raw: RawFile, rows: int, con: duckdb.DuckDBPyConnection, malformed: str | None) -> bool:
    """Whether a reader yielded each row of the file, or says rightly that it is malformed, under its own number.

    Args:
        raw: The file.
        rows: How many rows it yielded.
        con: What read it.
        malformed: A query for the number and text of the lines it calls malformed.
    """
    if malformed is None:
        return rows == raw.rows
    ((lines,), *_) = con.execute(f"SELECT count(*) FROM ({malformed})").fetchall()
    if rows + lines != raw.rows:
        return False
    # DuckDB numbers some lines that are none of the file, and calls some malformed that are not.
    numbered = con.execute(f"SELECT row_number, line FROM ({malformed}) ORDER BY row_number")
    return not lines or are_malformed_lines_of(raw, iter(numbered.fetchone, None))


def rows_as_published(raw: RawFile, work: Path) -> pa.Table:
    """The rows of a raw file under their published names, a CSV's as text; lines that are no rows are left out."""
    with connect(work / "spill") as con:
        fast, sure = readers(raw, con, work)
        try:
            table = fast()
            rows = _published(con, table)
            if is_every_row(raw, rows.num_rows, con, table.malformed):
                return rows
        except duckdb.Error as error:
            if not is_refusal(error):
                raise
        return _published(con, sure())


def _published(con: duckdb.DuckDBPyConnection, table: RawTable) -> pa.Table:
    names = ", ".join(f"{field.column} AS {identifier(field.label)}" for field in table.fields)
    return con.sql(f"SELECT {names} FROM {table.scan}").to_arrow_table()
