"""How a CSV is read: which fields it has, and what becomes of malformed lines.

There are two readers, and one grammar of lines (`core/source/text.py`) and of fields (`CsvLayout.split`). DuckDB's
reader is fast, and what every month is tried with. Its parser refuses some bytes, passes over some lines and lets an
unclosed quote swallow others, so what it yields is counted, and what it calls malformed is believed only where our own
splitting agrees; else the file is read again line by line, in Python.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.cleaning.fields import RawField, RawTable, fields_of, is_wide, rows_at_once
from taxi_platform.core.engine import parquet, path_literal
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.room import require_room
from taxi_platform.core.showing import shown
from taxi_platform.core.source.contents import DAMAGED, Contents, unpacking
from taxi_platform.core.source.files import RawFile
from taxi_platform.core.source.text import LONGEST_LINE, CsvText, examine, plain_blocks

#: Rows looked at to learn how a CSV is laid out.
_PEEK = 200
#: Share of the rows that may fill fields the header does not name: those are turned away. If there are more, it is the
#: header that is wrong.
_OVERFULL_SHARE = 0.01
#: Lines the line reader holds at a time.
_BATCH_LINES = 20_000
_REJECTS = "malformed_fields"

# Python's own bound is for a field of 128 KB, and DuckDB knows none.
csv.field_size_limit(LONGEST_LINE)


@dataclass(frozen=True)
class CsvLayout:
    """How a CSV is laid out.

    Attributes:
        fields: Those the header names, in the order of the file.
        width: How many fields the rows have; what is beyond the header's is empty.
    """

    fields: tuple[RawField, ...]
    width: int

    def split(self, line: str) -> list[str] | None:
        """A line's fields, as many as the header names; None if it is malformed.

        Quotes count where they make sense, else as characters like any other. Commas too many at a line's end say
        nothing.
        """
        fields = _by_quotes(line)
        if fields is None or not self._fits(fields):
            # A stray quote in a line that quotes nothing is a character of its value.
            fields = line.split(",")
            if '"' in line and any(map(_is_quoted, fields)):
                return None
        return fields[: len(self.fields)] if self._fits(fields) else None

    def _fits(self, fields: list[str]) -> bool:
        return len(fields) >= self.width and not any(fields[len(self.fields) :])


def csv_table(raw: RawFile, work: Path) -> RawTable:
    """A CSV as DuckDB's reader takes it.

    Args:
        raw: The file.
        work: A folder for the time of the reading: what is packed or not plain is written there as plain text.

    Raises:
        TaxiPlatformError: The file is packed and no longer what was fetched, its header does not fit its rows, or the
            disk has no room for its plain text.
    """
    try:
        text = _text_of(raw)
        layout = _layout(raw)
        if is_wide(layout.width):
            return line_table(raw, work)
        path = _plain_file(raw, text, work)
    except DAMAGED as error:
        raise TaxiPlatformError(
            "the raw file does not unpack",
            where=str(raw.path),
            cause=str(error),
            fix="materialize the month's raw asset: what is damaged is fetched again",
        ) from error
    names = [f"f{place}" for place in range(layout.width)]
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    quote = "'\"'" if text.has_quotes else "''"
    scan = f"""read_csv({path_literal(path)}, columns = {{{columns}}}, auto_detect = false, header = false,
                skip = 1, delim = ',', quote = {quote}, escape = {quote}, nullstr = '', encoding = 'utf-8',
                hive_partitioning = false, strict_mode = true, ignore_errors = true, store_rejects = true,
                rejects_table = '{_REJECTS}', rejects_scan = '{_REJECTS}_scan', rejects_limit = 0)"""
    if beyond := names[len(layout.fields) :]:
        # A row that fills what no name stands for may have all its values in the wrong places. It ends this scan, and
        # the line reader turns it away.
        are_empty = " AND ".join(f"nullif({name}, '') IS NULL" for name in beyond)
        scan = f"(SELECT * FROM {scan} WHERE if({are_empty}, true, error('a field without a name is filled')))"
    malformed = f"""
        SELECT (line - 1)::BIGINT AS row_number, trim(any_value(csv_line), E'\\r\\n') AS line
        FROM {_REJECTS}
        GROUP BY {_REJECTS}.line
    """
    return RawTable(layout.fields, scan, malformed, len(beyond))


def line_table(raw: RawFile, work: Path) -> RawTable:
    """Read a CSV line by line into a Parquet file: several times slower than DuckDB, and sure of every line.

    Raises:
        TaxiPlatformError: The header does not fit the rows.
    """
    layout = _layout(raw)
    path = work / "lines.parquet"
    columns = [field.column for field in layout.fields]
    schema = pa.schema(
        [("row_number", pa.int64()), ("line", pa.string()), *((column, pa.string()) for column in columns)]
    )
    rows, overfull, at_once = _rows_by_line(raw, layout), 0, rows_at_once(layout.width, _BATCH_LINES)
    with pq.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, at_once)):
            values = {name: list(column) for name, column in zip(schema.names, zip(*batch, strict=True), strict=True)}
            writer.write_table(pa.Table.from_pydict(values, schema=schema))
            if layout.width > len(columns):
                overfull += sum(str(line).count(",") >= len(columns) for _, line, *_ in batch if line is not None)
    if _are_too_many(overfull, raw.rows):
        raise _misfit(raw, f"its header names {len(columns)} fields, and {overfull:,} of {raw.rows:,} rows fill more")
    return RawTable(
        layout.fields,
        scan=f"(SELECT {', '.join(columns)} FROM {parquet(path)} WHERE line IS NULL)",
        malformed=f"SELECT row_number, line FROM {parquet(path)} WHERE line IS NOT NULL",
        surplus=layout.width - len(columns),
    )


def are_malformed_lines_of(raw: RawFile, numbered: Iterable[tuple[int, str]]) -> bool:
    """Whether these are lines of a CSV and their numbers, 1-based among its rows, in order, and malformed to us too."""
    layout, lines = _layout(raw), enumerate(_rows_of(raw), start=1)
    return all(
        next((line for at, line in lines if at == number), None) == text and layout.split(text) is None
        for number, text in numbered
    )


def _text_of(raw: RawFile) -> CsvText:
    """How a CSV is written; looked up anew for a file that an older version of the platform fetched."""
    if raw.text is not None:
        return raw.text
    is_packed = raw.path.name.endswith(".gz")
    return examine(raw.path, Contents("csv", is_packed)).text


def _plain_file(raw: RawFile, text: CsvText, work: Path) -> Path:
    """The file's plain text on disk; DuckDB reads it with all cores, and would unpack with one, four times slower."""
    if text.is_plain and not text.is_packed:
        return raw.path
    path = work / "plain.csv"
    require_room(work, text.bytes, where=str(path), what=f"the plain text of {raw.path.name}")
    with path.open("wb") as plain:
        if text.is_plain:
            with unpacking(raw.path) as packed:
                shutil.copyfileobj(packed, plain, 1 << 20)
        else:
            plain.writelines(plain_blocks(raw.path, text, raw.encoding))
    return path


def _layout(raw: RawFile) -> CsvLayout:
    header, *rows = [*islice(_lines_of(raw, peeking=True), 1 + _PEEK)] or [""]
    names, peeked = _split(header), [_split(row) for row in rows if row != raw.cut_line]
    widths = Counter(map(len, peeked))
    # Some eras' rows have more fields than their header names; what most rows do is the layout, not a defect.
    usual = widths.most_common(1)[0][0] if widths else len(names)
    while len(names) > usual and not names[-1].strip():
        names.pop()  # a comma at the header's end
    if usual < len(names) and len(peeked) > 1 and len(widths) == 1:
        raise _misfit(raw, f"its header names {len(names)} fields, and its rows have {usual}")
    width = max(len(names), usual)
    overfull = sum(any(row[len(names) :]) for row in peeked) if width > len(names) else 0
    if _are_too_many(overfull, len(peeked)):
        told = f"its header names {len(names)} fields, and {overfull} of the first {len(peeked)} rows fill more"
        raise _misfit(raw, told)
    is_tidy = not _text_of(raw).has_odd_numbers
    return CsvLayout(fields_of(names, ["VARCHAR"] * len(names), is_tidy=is_tidy), width)


def _are_too_many(overfull: int, rows: int) -> bool:
    return overfull > max(1, _OVERFULL_SHARE * rows)


def _misfit(raw: RawFile, what: str) -> TaxiPlatformError:
    return TaxiPlatformError(
        f"the file's header does not fit its rows: {what}",
        where=str(raw.path),
        cause="a name is missing or too many, or the first line is no header, and nobody can tell which: values would "
        f"stand in the wrong columns. The first line is {shown(next(_lines_of(raw, peeking=True)))!r}",
        fix="mend the header, or take the month from another source",
    )


def _split(line: str) -> list[str]:
    """A line's fields, by its quotes where they make sense."""
    return _by_quotes(line) or line.split(",")


def _by_quotes(line: str) -> list[str] | None:
    """A line's fields by its quotes; None if they make no sense."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return None


def _is_quoted(field: str) -> bool:
    text = field.strip()
    return len(text) > 1 and text.startswith('"') and text.endswith('"')


def _rows_by_line(raw: RawFile, layout: CsvLayout) -> Iterator[tuple[int | str | None, ...]]:
    """Every data row's number, its line if that is malformed, and its fields if not; an empty field is a null."""
    nothing = [None] * len(layout.fields)
    for number, line in enumerate(_rows_of(raw), start=1):
        fields = layout.split(line)
        if fields is None:
            yield number, line, *nothing
        else:
            yield number, None, *(field or None for field in fields)


def _rows_of(raw: RawFile) -> Iterator[str]:
    return islice(_lines_of(raw), 1, None)


def _lines_of(raw: RawFile, *, peeking: bool = False) -> Iterator[str]:
    """The lines of a CSV, the header first."""
    for block in plain_blocks(raw.path, _text_of(raw), raw.encoding, peeking=peeking):
        yield from block.decode().removesuffix("\n").split("\n")
