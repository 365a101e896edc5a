"""Marts: what people ask of the tables, worked out where the rows are. Adding a mart is adding an SQL file here.

A file is one SELECT in DuckDB's dialect, below a header of comments that is YAML. It reads `trips` (the rows of every
dataset in a month, in the columns of all contracts; null where a dataset has no such column) and may read `zones`.
`query.py` makes of it what a warehouse understands; only who works a mart out waits for the parser that takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import yaml
from pydantic import ValidationError

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.layout import Identifier
from taxi_platform.core.catalog.model import TableContract, TripContract
from taxi_platform.core.errors import ContractError

#: The dialect the files are written in.
DIALECT = "duckdb"
#: What a file reads.
TRIPS, ZONES = "trips", "zones"


class Mart(TableContract):
    """A table that is worked out from the months of the datasets, and replaced month by month.

    Attributes:
        name: The table's name, and the file's.
        query: One SELECT, in `DIALECT`.
        grain: The columns that tell its rows apart.
        needs: Columns without which a dataset has no place in it.
        conserved: Column -> what its sum over a dataset's month is of the trips themselves, in `DIALECT`.
    """

    reserved: ClassVar[tuple[str, ...]] = ()  # nothing is added to what its query gives

    kind: Literal["mart"] = "mart"
    name: Identifier
    query: str
    owner: str = "team:data-platform"
    documentation: str = "https://www.nyc.gov/site/tlc/about/tlc-trip-record-data.page"
    grain: tuple[Identifier, ...]
    needs: tuple[Identifier, ...] = ()
    conserved: dict[Identifier, str]

    @property
    def table(self) -> str:
        """The mart's name."""
        return self.name

    def datasets(self, catalog: Catalog) -> list[TripContract]:
        """The datasets that have a place in it."""
        return [it for it in catalog.trips.values() if {*self.needs} <= {column.name for column in it.columns}]


def load_marts(folder: Path = Path(__file__).parent) -> tuple[Mart, ...]:
    """The marts of a folder; by default the project's own.

    Raises:
        ContractError: A file is no mart; names it, and what is wrong with it.
    """
    return tuple(_read(path) for path in sorted(folder.glob("*.sql")))


def _read(path: Path) -> Mart:
    text = path.read_text(encoding="utf-8")
    header = [line.removeprefix("--").removeprefix(" ") for line in text.splitlines() if line.startswith("--")]
    try:
        return Mart(name=path.stem, query=text, **yaml.load("\n".join(header), Loader=yaml.CSafeLoader))
    except (ValidationError, yaml.YAMLError, TypeError) as error:
        raise ContractError(f"not a valid mart: {error}", where=str(path)) from error
