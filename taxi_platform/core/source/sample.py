"""Months that look like TLC's, made offline: for a first look, for tests and for benchmarks.

A month depends on its dataset, its key and the number of rows alone, so it can be made again anywhere. Values come from
the `sample` expressions of the contract; the file has the CSV layout of its time, the last one for the months that TLC
published as Parquet alone.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from graphlib import TopologicalSorter
from importlib import resources
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core import engine
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.layout import Layout
from taxi_platform.core.catalog.model import Column, ColumnType, TripContract, is_index
from taxi_platform.core.month import Month
from taxi_platform.core.source.elsewhere import BASE_REPORT, MONTHLY_REPORT
from taxi_platform.core.source.files import Publication
from taxi_platform.core.source.progress import Progress
from taxi_platform.core.source.retry import Deadline
from taxi_platform.core.source.sample_reports import base_report, monthly_report

#: Raised whenever the same contract would give other bytes.
_GENERATOR = 2
_BATCH_ROWS = 20_000
_GARBLED = "'#VALUE!'"
_PARQUET: dict[str, pa.DataType] = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "null": pa.null(),
}
_LINE_END = "\r\n"
_BLANK_LINES = {"LF": "\n", "CRLF": "\r\n"}
#: Level 1 costs a quarter of level 6 and half as many bytes again: a sample is written once and read once.
_GZIP_LEVEL = 1
#: What makes a report, by the file it is published as.
_REPORTS = {MONTHLY_REPORT: monthly_report, BASE_REPORT: base_report}

#: Rows by which the size of a whole month is told to the percent.
_PIECE_ROWS = 50_000


@dataclass(frozen=True)
class SampleOrigin:
    """Generates what is asked of it. Its "URLs" are `sample://<file name>`.

    Attributes:
        catalog: The contracts to generate by.
        rows: Rows of every month.
    """

    catalog: Catalog
    rows: int

    def probe(self, url: str, about: str) -> Publication | None:
        """Any month of a known dataset as csv.gz, the zone lookup, and TLC's reports."""
        name = url.removeprefix("sample://")
        if name == self.catalog.zones.file:
            return Publication(url=url, etag=f"{_GENERATOR}")
        if name in _REPORTS:
            return Publication(url=url, etag=f"{_GENERATOR}-{self.rows}")
        contract = self._contract_of(name)
        if contract is None or not name.endswith(".csv.gz"):
            return None
        recipe = contract.model_dump_json(include={"columns", "layouts", "sample"})
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
        return Publication(url=url, etag=f"{_GENERATOR}-{digest}-{self.rows}")

    def download(
        self,
        url: str,
        part: Path,
        known: Publication | None,
        about: str,
        log: logging.Logger,
        deadline: Deadline | None = None,
    ) -> Publication | None:
        """Write the file to `part`; the same answers as `HttpOrigin.download` gives. There is nobody to wait for."""
        found = self.probe(url, about)
        if found is None or (known is not None and known.is_same_version_as(found)):
            return found and known
        name = url.removeprefix("sample://")
        contract = self._contract_of(name)
        if name in _REPORTS:
            part.write_bytes(_REPORTS[name](self.rows))
        elif contract is None:
            with resources.as_file(resources.files("taxi_platform.core.source") / name) as shipped:
                shutil.copyfile(shipped, part)
        else:
            month = Month.parse(name.removesuffix(".csv.gz")[-7:])
            write_month(contract, month, self.rows, part, Progress(log, about, None))
        return found

    def bytes_of(self, contract: TripContract, month: Month, folder: Path) -> int:
        """About how large a month's file would be; a piece of it is made in `folder` to know."""
        piece = min(self.rows, _PIECE_ROWS)
        path = folder / "piece.csv.gz"
        write_month(contract, month, piece, path)
        return round(path.stat().st_size * self.rows / piece)

    def _contract_of(self, name: str) -> TripContract | None:
        return self.catalog.trips.get(name.partition("_tripdata_")[0])


def write_month(contract: TripContract, month: Month, rows: int, path: Path, progress: Progress | None = None) -> None:
    """Write a generated month in the CSV layout of its time, streaming: memory does not grow with `rows`.

    Args:
        contract: Whose columns to make up.
        month: The month; another month has other rows.
        rows: Data rows to write.
        path: Where to; packed if its name does not end in `.csv`.
        progress: Told of the bytes written.
    """
    layout = contract.layout_of(month, "csv")
    with path.open("wb") as file, ExitStack() as stack:
        writer: IO[bytes] = file
        if path.suffix != ".csv":
            # No name and no time in the gzip header, so that the same month is the same bytes.
            zipped = stack.enter_context(gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0))
            writer = io.BufferedWriter(zipped, buffer_size=1 << 20)  # pyright: ignore[reportArgumentType]
        writer.write(_header(layout))
        for batch in _batches(contract, layout, month, rows, path.parent):
            text = _text_of(cast(pa.StringArray, batch.column(0)))
            writer.write(text)
            if progress is not None:
                progress.add(len(text))
        writer.flush()


def write_parquet_month(contract: TripContract, month: Month, rows: int, path: Path) -> None:
    """Write a generated month in the Parquet layout of its time: the columns, names and types TLC used then."""
    layout = contract.layout_of(month, "parquet")
    schema = pa.schema([(name, _parquet_type(contract, layout, name)) for name in layout.header])
    with pq.ParquetWriter(path, schema) as writer:
        for batch in _batches(contract, layout, month, rows, path.parent):
            writer.write_batch(batch.cast(schema))


def _parquet_type(contract: TripContract, layout: Layout, name: str) -> pa.DataType:
    if name in layout.types:
        return _PARQUET[layout.types[name]]
    if is_index(name):
        return pa.int64()
    if name in layout.texts:
        return pa.string()
    kind = contract.published_as(name).type
    return pa.int64() if kind is ColumnType.INT32 else kind.arrow


def _header(layout: Layout) -> bytes:
    names = [f'"{name}"' for name in layout.header] if layout.quoted else layout.header
    # Where a blank line follows the header, the header ends with a bare LF, unlike the rows.
    end = "\n" if layout.blank_lines else _LINE_END
    return "".join([",".join(names), end, *(_BLANK_LINES[kind] for kind in layout.blank_lines)]).encode()


def _batches(
    contract: TripContract, layout: Layout, month: Month, rows: int, spill_to: Path
) -> Iterator[pa.RecordBatch]:
    """The month as TLC would lay it out: one column of lines for a CSV, the columns themselves for Parquet."""
    with engine.connect(spill_to) as con:
        # A uniform number in [0, 1) that depends on the row and on what it is for, and on nothing else.
        con.execute("CREATE MACRO u(row, purpose) AS (hash(hash(row, purpose)) >> 11)::DOUBLE / 9007199254740992")
        yield from con.sql(_select(contract, layout, month, rows)).to_arrow_reader(_BATCH_ROWS)


def _select(contract: TripContract, layout: Layout, month: Month, rows: int) -> str:
    quirks = contract.sample
    made = [column for column in contract.columns if column.text_of is None]
    expressions = quirks.helpers | {it.name: f"({it.sample})::{it.type.duckdb}" for it in made}
    values = ", ".join(f"{expressions[name]} AS {name}" for name in _in_order_of_need(expressions))
    fields = _lines(contract, layout) if layout.format == "csv" else _columns(contract, layout)
    seed = engine.literal(f"{contract.dataset} {month}")
    return f"""
        WITH rows AS (
            SELECT
                i,
                hash(i - (u(i, 'duplicate') < {quirks.duplicate_share} AND i > 0)::INT, {seed}) AS row,
                TIMESTAMP '{month.first_day}' AS month_start,
                epoch(TIMESTAMP '{month.next.first_day}' - TIMESTAMP '{month.first_day}') AS month_seconds,
            FROM range({rows}) AS numbers(i)
        ), trips AS (
            SELECT i, row, {values} FROM rows
        )
        SELECT {fields} FROM trips
    """


def _lines(contract: TripContract, layout: Layout) -> str:
    """SQL for a row as a line of CSV."""
    quirks = contract.sample
    fields: list[str] = []
    for name in layout.header:
        column = contract.published_as(name)
        text = f"coalesce({_published(column, layout, name)}::VARCHAR, '')"
        if column.name == quirks.garbled_column:
            text = f"if(u(row, 'garbled') < {quirks.garbled_share}, {_GARBLED}, {text})"
        fields.append(f"""'"' || {text} || '"'""" if layout.quoted else text)
    fields += ["''"] * layout.junk_fields
    return f"concat_ws(',', {', '.join(fields)}) || {engine.literal(_LINE_END)} AS line"


def _columns(contract: TripContract, layout: Layout) -> str:
    """SQL for a row as columns of a Parquet file."""
    fields: list[str] = []
    for name in layout.header:
        value = "i" if is_index(name) else _published(contract.published_as(name), layout, name)
        if layout.types.get(name) == "null":
            value = 'NULL::"NULL"'
        fields.append(f"{value} AS {engine.identifier(name)}")
    return ", ".join(fields)


def _published(column: Column, layout: Layout, name: str) -> str:
    """SQL for a canonical value as TLC published it: as it is, or as text where the layout has texts for codes."""
    if name not in layout.texts:
        return column.name
    words = {code: text for text, code in reversed(column.texts.items()) if code is not None}
    cases = " ".join(f"WHEN {code} THEN {engine.literal(text)}" for code, text in words.items())
    return f"CASE {column.name} {cases} END"


def _in_order_of_need(expressions: dict[str, str]) -> Iterable[str]:
    """The names, each after those its expression mentions: SQL wants an alias defined before it is used."""
    words = {name: set(re.findall(r"[a-z_]+", expression)) for name, expression in expressions.items()}
    return TopologicalSorter({name: words[name] & expressions.keys() - {name} for name in expressions}).static_order()


def _text_of(lines: pa.StringArray) -> memoryview:
    """The bytes of a string array, one string after the other, as they already lie in memory."""
    _, offsets, text = cast(list[pa.Buffer], lines.buffers())
    ends = memoryview(offsets).cast("B").cast("i")
    return memoryview(text)[ends[lines.offset] : ends[lines.offset + len(lines)]]
