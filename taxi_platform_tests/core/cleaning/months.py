"""Small months for the cleaning tests: written here, then inspected and cleaned exactly as the platform does it."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.catalog.model import Column, TripContract
from taxi_platform.core.cleaning import CleanedMonth, clean
from taxi_platform.core.files import sha256_of
from taxi_platform.core.month import Month
from taxi_platform.core.source.files import Publication, RawFile
from taxi_platform.core.source.inspection import inspect

CATALOG = load_catalog()
YELLOW = CATALOG.trips["yellow"]
GREEN = CATALOG.trips["green"]
REAL_DATA = Path(__file__).parents[4] / "shared" / "data"
#: The first rows TLC wrote of every era, which lie in the repository.
HEADS = Path(__file__).parents[2] / "real"

#: A yellow trip that breaks no rule, by published name.
TRIP = {
    "VendorID": "1",
    "tpep_pickup_datetime": "2021-01-05 10:00:00",
    "tpep_dropoff_datetime": "2021-01-05 10:10:00",
    "passenger_count": "1",
    "trip_distance": "2.5",
    "RatecodeID": "1",
    "store_and_fwd_flag": "N",
    "PULocationID": "142",
    "DOLocationID": "43",
    "payment_type": "2",
    "fare_amount": "8",
    "extra": "3",
    "mta_tax": "0.5",
    "tip_amount": "0",
    "tolls_amount": "0",
    "improvement_surcharge": "0.3",
    "total_amount": "11.8",
    "congestion_surcharge": "2.5",
}
HEADER = ",".join(TRIP)


def with_columns(contract: TripContract, columns: tuple[Column, ...]) -> TripContract:
    """A contract with other columns; made anew, as a copy would keep what was derived from the old ones."""
    fields: dict[str, Any] = {name: getattr(contract, name) for name in TripContract.model_fields}
    return TripContract(**{**fields, "columns": columns})


def trip(**changes: str) -> str:
    """The line of a trip that breaks no rule, but for the changes made to it."""
    return ",".join((TRIP | changes)[name] for name in TRIP)


def raw_file(path: Path) -> RawFile:
    """What the platform knows of a fetched file."""
    publication = Publication(url=path.as_uri(), bytes=path.stat().st_size)
    found = inspect(path, publication, "a test")
    return RawFile(
        path=path,
        publication=publication,
        sha256=sha256_of(path),
        bytes=path.stat().st_size,
        rows=found.rows,
        encoding=found.encoding,
        fetched_at="2021-03-01T00:00:00+00:00",
        cut_line=found.cut_line,
        contents=found.contents,
        text=found.text,
    )


@dataclass(frozen=True)
class Outcome:
    """A cleaned month, and its two files read back."""

    raw: RawFile
    month: CleanedMonth
    cleaned: pa.Table
    quarantine: pa.Table

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.cleaned.to_pylist()

    @property
    def turned_away(self) -> list[dict[str, Any]]:
        return self.quarantine.to_pylist()

    @property
    def is_conserved(self) -> bool:
        return self.raw.rows == self.cleaned.num_rows + self.quarantine.num_rows

    def column(self, name: str) -> list[Any]:
        """A column of the cleaned rows."""
        return self.cleaned[name].to_pylist()

    @property
    def unknown_columns(self) -> dict[str, str]:
        """Name to type of the published columns the contract did not know."""
        return self.month.cleaned.lineage.unknown_columns

    @property
    def extras(self) -> list[dict[str, Any] | None]:
        """The values of such columns in the cleaned rows."""
        return [text and json.loads(text) for text in self.column("extra_columns")]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Rejected and kept rows of every rule that fired."""
        return {it.rule.name: (it.rejected, it.kept) for it in self.month.counts if it.rejected or it.kept}


def clean_file(
    path: Path,
    contract: TripContract = YELLOW,
    key: str = "2021-01",
    actions: Mapping[str, str] | None = None,
    shapes: Path | None = None,
) -> Outcome:
    """Clean a file, in a work folder beside it."""
    raw, work = raw_file(path), path.with_name(f"{path.name}.work")
    work.mkdir()
    month = clean(contract, Month.parse(key), raw, contract.actions(actions), work, shapes=shapes)
    return Outcome(raw, month, pq.read_table(month.cleaned.path), pq.read_table(month.quarantine.path))


def clean_bytes(folder: Path, content: bytes, name: str = "yellow_tripdata_2021-01.csv", **options: Any) -> Outcome:
    """Clean a file of these bytes; its name says whether they are to be packed."""
    path = folder / name
    path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return clean_file(path, **options)


def clean_lines(folder: Path, lines: Iterable[str], header: str = HEADER, end: str = "\n", **options: Any) -> Outcome:
    """Clean a CSV of these lines under a header."""
    return clean_bytes(folder, "".join(line + end for line in (header, *lines)).encode(), **options)


def clean_parquet(folder: Path, columns: Mapping[str, pa.Array | Sequence[Any]], **options: Any) -> Outcome:
    """Clean a Parquet file of these columns; pickup times are added where they are not among them."""
    length = len(next(iter(columns.values())))
    pickups = {"tpep_pickup_datetime": pa.array([f"2021-01-05 10:00:{i:02}" for i in range(length)])}
    path = folder / "yellow_tripdata_2021-01.parquet"
    pq.write_table(pa.table({**pickups, **columns}), path)
    return clean_file(path, **options)


def clean_copy(source: Path, folder: Path, contract: TripContract, name: str = "", **options: Any) -> Outcome:
    """Clean a copy of a real file, under its official name."""
    path = folder / (name or source.name)
    shutil.copyfile(source, path)
    return clean_file(path, contract, path.name.partition(".")[0][-7:], **options)
