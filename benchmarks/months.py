"""The months that are measured, and where what was made of one lies. For the children: this imports the platform."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source import RawFile

CATALOG = load_catalog()
YELLOW, ZONES = CATALOG.trips["yellow"], CATALOG.zones
#: The month of every measurement, and two that lie in the table beside it.
LATEST = Month(2021, 1)
OTHERS = (LATEST.minus(1), LATEST.minus(2))


@dataclass(frozen=True)
class Made:
    """What `benchmarks.prepare made` makes of a month: the input of every stage."""

    folder: Path

    @property
    def raw_dir(self) -> Path:
        """Where the source keeps what it fetched."""
        return self.folder / "raw"

    @property
    def raw(self) -> RawFile:
        """The month as it was fetched and verified."""
        return RawFile.expected_in(self.raw_dir / "yellow" / str(LATEST), str(LATEST), "make bench")

    @property
    def cleaned(self) -> Path:
        """The rows that were kept."""
        return self.folder / "cleaned.parquet"

    @property
    def quarantine(self) -> Path:
        """The rows that were turned away."""
        return self.folder / "quarantine.parquet"

    @property
    def warehouse(self) -> Path:
        """A DuckDB file that holds the month and two others."""
        return self.folder / "warehouse.duckdb"

    @property
    def others(self) -> Path:
        """A DuckDB file that holds the two others."""
        return self.folder / "others.duckdb"
