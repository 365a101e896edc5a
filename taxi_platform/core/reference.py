"""Reference tables: small files without months."""

from __future__ import annotations

import csv

import pyarrow as pa

from taxi_platform.core.catalog.model import ReferenceContract, normalized
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.source.files import RawFile


def read_reference_file(contract: ReferenceContract, raw: RawFile) -> pa.Table:
    """Read a reference table's file. Every text stays as it is: "N/A" is a borough's name here, not a null.

    Raises:
        TaxiPlatformError: The file does not have the contract's columns, types or number of rows.
    """
    with raw.path.open(encoding=raw.encoding, newline="") as file:
        header, *rows = list(csv.reader(file))
    positions = {normalized(name): position for position, name in enumerate(header)}
    try:
        columns = {
            column.name: pa.array(
                [row[next(positions[name] for name in column.published_names if name in positions)] for row in rows]
            ).cast(column.type.arrow)
            for column in contract.columns
        }
    except (StopIteration, IndexError, RuntimeError, pa.ArrowInvalid) as error:
        raise _unfit(contract, raw, f"its columns are {', '.join(header)}; {error}") from error
    if len(rows) != contract.rows:
        raise _unfit(contract, raw, f"it has {len(rows):,} rows, not {contract.rows:,}")
    return pa.table(columns)


def _unfit(contract: ReferenceContract, raw: RawFile, cause: str) -> TaxiPlatformError:
    return TaxiPlatformError(
        "the file is not what its contract says",
        about=contract.table,
        where=raw.publication.url,
        cause=cause,
        fix=f"if TLC changed it for good, change {contract.table}.yaml",
    )
