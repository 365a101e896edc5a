"""Months that look like TLC's, made offline: for a first look, for tests and for benchmarks.

A month depends on its dataset, its key and the number of rows alone, so it can be made again anywhere. Values come from
the `sample` expressions of the contract; the file has the layout TLC published that month in.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from importlib import resources
from pathlib import Path
from typing import cast

import pyarrow as pa

from taxi_platform.core import engine
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import Layout, TripContract, normalized
from taxi_platform.core.month import Month
from taxi_platform.core.source.files import Publication
from taxi_platform.core.source.progress import Progress

#: Raised whenever the same contract would give other bytes.
_GENERATOR = 1
_BATCH_ROWS = 20_000
_GARBLED = "'#VALUE!'"
_LINE_END = "\r\n"  # as in TLC's own CSVs of 2019 on
#: Level 1 costs a quarter of level 6 and half as many bytes again: a sample is written once and read once.
_GZIP_LEVEL = 1


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
        """Any month of a known dataset as csv.gz, and the zone lookup."""
        name = url.removeprefix("sample://")
        if name == self.catalog.zones.file:
            return Publication(url=url, etag=f"{_GENERATOR}")
        contract = self._contract_of(name)
        if contract is None or not name.endswith(".csv.gz"):
            return None
        recipe = contract.model_dump_json(include={"columns", "layouts", "sample"})
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
        return Publication(url=url, etag=f"{_GENERATOR}-{digest}-{self.rows}")

    def download(
        self, url: str, part: Path, known: Publication | None, about: str, log: logging.Logger
    ) -> Publication | None:
        """Write the file to `part`; the same answers as `HttpOrigin.download` gives."""
        found = self.probe(url, about)
        if found is None or (known is not None and known.is_same_version_as(found)):
            return found and known
        name = url.removeprefix("sample://")
        contract = self._contract_of(name)
        if contract is None:
            with resources.as_file(resources.files("taxi_platform.core.source") / name) as shipped:
                shutil.copyfile(shipped, part)
        else:
            month = Month.parse(name.removesuffix(".csv.gz")[-7:])
            write_month(contract, month, self.rows, part, Progress(log, about, None))
        return found

    def _contract_of(self, name: str) -> TripContract | None:
        return self.catalog.trips.get(name.partition("_tripdata_")[0])


def write_month(contract: TripContract, month: Month, rows: int, path: Path, progress: Progress | None = None) -> None:
    """Write a generated month as csv.gz, streaming: memory does not grow with `rows`.

    Args:
        contract: Whose columns to make up.
        month: The month; another month has other rows.
        rows: Data rows to write.
        path: Where to.
        progress: Told of the bytes written.
    """
    layout = contract.layout_of(month)
    # No name and no time in the gzip header, so that the same month is the same bytes.
    with path.open("wb") as file, gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as zipped:
        writer = io.BufferedWriter(zipped, buffer_size=1 << 20)  # pyright: ignore[reportArgumentType]
        writer.write((",".join(layout.header) + _LINE_END).encode())
        for text in _lines(contract, layout, month, rows, path.parent):
            writer.write(text)
            if progress is not None:
                progress.add(len(text))
        writer.flush()


def _lines(contract: TripContract, layout: Layout, month: Month, rows: int, spill_to: Path) -> Iterator[memoryview]:
    with engine.connect(spill_to) as con:
        # A uniform number in [0, 1) that depends on the row and on what it is for, and on nothing else.
        con.execute("CREATE MACRO u(row, purpose) AS (hash(hash(row, purpose)) >> 11)::DOUBLE / 9007199254740992")
        for batch in con.sql(_select(contract, layout, month, rows)).to_arrow_reader(_BATCH_ROWS):
            yield _text_of(cast(pa.StringArray, batch.column(0)))


def _select(contract: TripContract, layout: Layout, month: Month, rows: int) -> str:
    quirks = contract.sample
    by_name = {name: column for column in contract.columns for name in column.published_names}
    expressions = quirks.helpers | {it.name: f"({it.sample})::{it.type.duckdb}" for it in contract.columns}
    values = ", ".join(f"{expressions[name]} AS {name}" for name in _in_order_of_need(expressions))
    fields: list[str] = []
    for name in layout.header:
        column = by_name[normalized(name)]
        text = f"coalesce({column.name}::VARCHAR, '')"
        if column.name == quirks.garbled_column:
            text = f"if(u(row, 'garbled') < {quirks.garbled_share}, {_GARBLED}, {text})"
        fields.append(text)
    seed = engine.literal(f"{contract.dataset} {month}")
    return f"""
        WITH rows AS (
            SELECT
                hash(i - (u(i, 'duplicate') < {quirks.duplicate_share} AND i > 0)::INT, {seed}) AS row,
                TIMESTAMP '{month.first_day}' AS month_start,
                epoch(TIMESTAMP '{month.next.first_day}' - TIMESTAMP '{month.first_day}') AS month_seconds,
            FROM range({rows}) AS numbers(i)
        ), trips AS (
            SELECT row, {values} FROM rows
        )
        SELECT concat_ws(',', {", ".join(fields)}) || {engine.literal(_LINE_END)} AS line FROM trips
    """


def _in_order_of_need(expressions: dict[str, str]) -> Iterable[str]:
    """The names, each after those its expression mentions: SQL wants an alias defined before it is used."""
    words = {name: set(re.findall(r"[a-z_]+", expression)) for name, expression in expressions.items()}
    return TopologicalSorter({name: words[name] & expressions.keys() - {name} for name in expressions}).static_order()


def _text_of(lines: pa.StringArray) -> memoryview:
    """The bytes of a string array, one string after the other, as they already lie in memory."""
    _, offsets, text = cast(list[pa.Buffer], lines.buffers())
    ends = memoryview(offsets).cast("B").cast("i")
    return memoryview(text)[ends[lines.offset] : ends[lines.offset + len(lines)]]
