"""What is in the stores of a month, read by others than the platform, and whether it is what was published."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from taxi_platform.core.catalog import load_catalog
from taxi_platform_tests.faults.months import NUMBER, SEAL, Version
from taxi_platform_tests.faults.stores import Row

TABLE = "table"
#: Of the table and the files, numbers and seals first: by them people, and the order of rows, tell what is there.
COLUMNS = (
    *(NUMBER, SEAL),
    *(it.name for it in load_catalog().trips["green"].stored_columns if it.name not in (NUMBER, SEAL)),
)


@dataclass(frozen=True)
class Month:
    """A month in the stores.

    Attributes:
        files: The bytes of each layer that is a file or an object; none where there is no such file.
        rows: Its rows in the table, in the order of their numbers.
    """

    files: Mapping[str, bytes]
    rows: Sequence[Row]

    def is_like(self, other: Month, layer: str) -> bool:
        """Whether a layer is the same in both."""
        return self.rows == other.rows if layer == TABLE else self.files[layer] == other.files[layer]

    def shown(self, layer: str) -> str:
        """What a layer holds, for people."""
        if layer != TABLE:
            return f"{len(self.files[layer])} bytes {hashlib.sha256(self.files[layer]).hexdigest()[:12]}"
        versions = Counter(str(seal).partition(":")[0] for _, seal, *_ in self.rows)
        return f"{dict(versions)} rows with {len({number for number, *_ in self.rows})} numbers"


def lake_key(month: str) -> str:
    """Where the lake has a month."""
    return f"green_trips/source_month={month}/green_tripdata_{month}.parquet"


def month_in(data: Path, objects: Mapping[str, bytes], rows: Mapping[str, list[Row]], month: str) -> Month:
    """A month in the stores.

    Args:
        data: The data folder.
        objects: What is in the lake.
        rows: What is in the table.
        month: The month.
    """
    paths = {
        "raw": data / "raw" / "green" / month / f"green_tripdata_{month}.csv.gz",
        "cleaned": data / "cleaned" / "green" / f"{month}.parquet",
        "quarantine": data / "quarantine" / "green" / f"{month}.parquet",
    }
    files = {layer: path.read_bytes() if path.exists() else b"" for layer, path in paths.items()}
    files["lake"] = objects.get(lake_key(month), b"")
    return Month(files, _in_order(rows.get(month, [])))


def unlike(version: Version, month: Month) -> Iterator[str]:
    """In what the stores are not what was published: rows in = cleaned + quarantined rows, and table = lake."""
    if month.files["raw"] != version.body:
        yield "the raw file is not what was published"
    for layer, expected in (("cleaned", version.kept), ("quarantine", version.turned_away)):
        rows = _rows_in(month.files[layer], (NUMBER, SEAL))
        if len(rows) != len(expected) or dict(rows) != expected:
            yield f"{layer}: not the {len(expected)} rows that were published, but {len(rows)}"
    in_lake = Month({}, _in_order(_rows_in(month.files["lake"], COLUMNS)))
    if not in_lake.is_like(month, TABLE):
        yield f"{in_lake.shown(TABLE)} in the lake, {month.shown(TABLE)} in the table"


def _rows_in(parquet: bytes, columns: Sequence[str]) -> list[Row]:
    if not parquet:
        return []
    table = pq.read_table(io.BytesIO(parquet), columns=list(columns))
    return list(zip(*(table.column(name).to_pylist() for name in columns), strict=True))


def _in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row[0], row[1]))
