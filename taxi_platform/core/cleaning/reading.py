"""How DuckDB reads a raw file: which fields it has, under which names, and what becomes of malformed lines.

A file is read by the header it has, never by what its month should have. No published name ever reaches SQL as an
identifier of ours: fields are `f0`, `f1`, … in the order of the file.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import islice

import duckdb

from taxi_platform.core.engine import identifier, literal, parquet
from taxi_platform.core.source.files import RawFile
from taxi_platform.core.source.inspection import open_csv

#: Lines looked at to learn how a CSV is laid out.
_PEEK = 200
_REJECTS = "malformed_fields"


@dataclass(frozen=True)
class RawField:
    """One field of a raw file.

    Attributes:
        name: As published; empty where the header does not name it.
        column: The SQL name it is read under.
        type: DuckDB's name of its type; `VARCHAR` for every field of a CSV.
    """

    name: str
    column: str
    type: str


@dataclass(frozen=True)
class RawTable:
    """A raw file as DuckDB reads it.

    Attributes:
        fields: In the order of the file.
        scan: The `FROM` clause that reads it, yielding `fields` by their `column`, in the order of the rows.
        malformed: A query for the lines that have too few or too many fields or cannot be decoded: `row_number`
            (1-based, among the data rows of the file) and `line`. It answers once the scan has run on the same
            connection. None where the format has no such lines.
    """

    fields: tuple[RawField, ...]
    scan: str
    malformed: str | None


def raw_table(raw: RawFile, con: duckdb.DuckDBPyConnection) -> RawTable:
    """Learn a raw file's fields from the file itself."""
    return _parquet_table(raw, con) if raw.edition == "parquet" else _csv_table(raw)


def _parquet_table(raw: RawFile, con: duckdb.DuckDBPyConnection) -> RawTable:
    file = parquet(raw.path)
    described = con.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()
    fields = tuple(RawField(name, f"f{i}", kind) for i, (name, kind, *_) in enumerate(described))
    renamed = ", ".join(f"{identifier(field.name)} AS {field.column}" for field in fields)
    return RawTable(fields, f"(SELECT {renamed} FROM {file})", None)


def _csv_table(raw: RawFile) -> RawTable:
    skipped, lines = _first_lines(raw)
    # Quotes are honoured where the file uses them from its start. Elsewhere a stray quote is a character like any
    # other: honouring it would swallow every line up to the next one.
    quoted = any('"' in line for line in lines[:2])
    rows = list(csv.reader(lines, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE))
    header, data = (rows[0], rows[1:]) if rows else ([], [])
    # Some eras' rows have more fields than their header names; what most rows do is the layout, not a defect.
    usual = Counter(len(row) for row in data).most_common(1)
    width = max(len(header), usual[0][0] if usual else 0)
    names = [*header, *[""] * (width - len(header))]
    fields = tuple(RawField(name, f"f{i}", "VARCHAR") for i, name in enumerate(names))
    columns = ", ".join(f"'{field.column}': 'VARCHAR'" for field in fields)
    quote = "'\"'" if quoted else "''"
    scan = f"""read_csv({literal(str(raw.path))}, columns = {{{columns}}}, auto_detect = false, header = false,
                skip = {skipped}, delim = ',', quote = {quote}, escape = {quote}, nullstr = '',
                encoding = '{raw.encoding}', strict_mode = true, ignore_errors = true, store_rejects = true,
                rejects_table = '{_REJECTS}', rejects_scan = '{_REJECTS}_scan', rejects_limit = 0)"""
    # A quote that is never closed makes several lines one malformed "line": each is told by itself.
    malformed = f"""
        SELECT
            (first_line + generate_subscripts(lines, 1) - 1 - {skipped})::BIGINT AS row_number,
            rtrim(unnest(lines), E'\\r') AS line
        FROM (
            SELECT line AS first_line, string_split(trim(any_value(csv_line), E'\\r\\n'), E'\\n') AS lines
            FROM {_REJECTS}
            GROUP BY line, line_byte_position
        )
    """
    return RawTable(fields, scan, malformed)


def _first_lines(raw: RawFile) -> tuple[int, list[str]]:
    """How many lines come before the first data line, and the first lines that are not blank."""
    with open_csv(raw.path) as file:
        text = io.TextIOWrapper(file, encoding=raw.encoding, errors="replace", newline="\n")
        peeked = [line.rstrip("\r\n") for line in islice(text, _PEEK)]
    filled = [number for number, line in enumerate(peeked) if line]
    return filled[1] if len(filled) > 1 else len(peeked), [peeked[number] for number in filled]
