"""Whether a month's table holds what its object in the lake does: by fingerprints, each made where the rows lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core import findings
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.findings import Finding
from taxi_platform.core.fingerprint import Fingerprint, fingerprint_file
from taxi_platform.core.measures import measure_file
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse import Warehouse


@dataclass(frozen=True)
class Verified:
    """What was found of a month.

    Attributes:
        month: The month.
        said: The fingerprint that was made while it was cleaned; empty where nobody made one.
        in_lake: What the lake's object holds; None if there is none.
        in_table: What the table holds; None if there is no table.
        finding: Whether they agree, in words.
    """

    month: Month
    said: str
    in_lake: Fingerprint | None
    in_table: Fingerprint | None
    finding: Finding

    @property
    def is_held(self) -> bool:
        """Whether any store has the month."""
        return self.in_lake is not None or bool(self.in_table and self.in_table.rows)


def table_matches_lake(
    contract: TripContract, month: Month, store: Warehouse, file: ParquetFile, work: Path, *, anew: bool
) -> Finding:
    """Hold a table's month against the lake's object.

    Args:
        contract: The dataset's contract.
        month: The month.
        store: The warehouse.
        file: The lake's object.
        work: Folder for what does not fit into memory.
        anew: Whether the object's own rows are asked, too, and not what was said of them when they were cleaned.
    """
    return _compared(contract, month, store, file, work, anew=anew)[-1]


def verify_month(
    contract: TripContract, month: Month, store: Warehouse, file: ParquetFile | None, work: Path
) -> Verified:
    """Make the fingerprints of a month anew, in the lake and in the table.

    Args:
        contract: The dataset's contract.
        month: The month.
        store: The warehouse.
        file: The lake's object; None if there is none.
        work: Folder for what does not fit into memory.
    """
    if not store.columns_of(contract):
        if file is None:
            return Verified(month, "", None, None, Finding(holds=True, says="nowhere", judged=False))
        in_lake = fingerprint_file(file, contract.stored_columns, work)
        says = f"{in_lake.rows:,} rows in the lake, and no table"
        return Verified(month, _said(file), in_lake, None, Finding(holds=False, says=says))
    if file is None:
        in_table = store.fingerprint_month(contract, month)
        says = f"{in_table.rows:,} rows in the table, and no object in the lake" if in_table.rows else "nowhere"
        finding = Finding(holds=not in_table.rows, says=says, judged=bool(in_table.rows))
        return Verified(month, "", None, in_table, finding)
    in_table, in_lake, finding = _compared(contract, month, store, file, work, anew=True)
    return Verified(month, _said(file), in_lake, in_table, finding)


def _compared(
    contract: TripContract, month: Month, store: Warehouse, file: ParquetFile, work: Path, *, anew: bool
) -> tuple[Fingerprint, Fingerprint, Finding]:
    in_table = store.fingerprint_month(contract, month, file.null_columns)
    in_lake = Fingerprint(file.rows, _said(file))
    if anew or in_lake != in_table:  # an object of before says nothing, and the contract may have other columns by now
        in_lake = fingerprint_file(file, contract.stored_columns, work)

    def differences() -> list[str]:
        columns = contract.stored_columns
        return [*store.measure_month(contract, month).differences(measure_file(file, columns, work))]

    return in_table, in_lake, findings.table_matches_lake(in_table, in_lake, differences)


def _said(file: ParquetFile) -> str:
    return file.known_lineage.fingerprint if file.known_lineage else ""
