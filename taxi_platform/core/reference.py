"""Reference tables: small files without months."""

from __future__ import annotations

import csv
from collections.abc import Mapping

import pyarrow as pa

from taxi_platform.core.catalog.model import Column, ReferenceContract, normalized
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.source.files import RawFile


def read_reference_file(contract: ReferenceContract, raw: RawFile) -> pa.Table:
    """Read a reference table's file. Every text stays as it is: "N/A" is a borough's name here, not a null.

    Raises:
        TaxiPlatformError: The file does not have the contract's columns, types or number of rows.
    """
    encoding = "utf-8-sig" if raw.encoding == "utf-8" else raw.encoding
    with raw.path.open(encoding=encoding, newline="") as file:
        header, *rows = [row for row in csv.reader(file) if row] or [[]]
    positions = {normalized(name): position for position, name in enumerate(header)}
    try:
        columns = {
            column.name: pa.array([row[_position(column, positions)] for row in rows], pa.string()).cast(
                column.type.arrow
            )
            for column in contract.columns
        }
    except (LookupError, pa.ArrowInvalid) as error:
        raise _unfit(contract, raw, f"its columns are {', '.join(header)}; {error}") from error
    if len(rows) != contract.rows:
        raise _unfit(contract, raw, f"it has {len(rows):,} rows, not {contract.rows:,}")
    return pa.table(columns)


def _position(column: Column, positions: Mapping[str, int]) -> int:
    for name in column.published_names:
        if name in positions:
            return positions[name]
    raise LookupError(f"none of them is {column.name}")


def _unfit(contract: ReferenceContract, raw: RawFile, cause: str) -> TaxiPlatformError:
    return TaxiPlatformError(
        "the file is not what its contract says",
        about=contract.table,
        where=raw.publication.url,
        cause=cause,
        fix=f"if TLC changed it for good, change {contract.table}.yaml",
    )
