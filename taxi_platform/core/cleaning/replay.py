"""What a change of the rules or the contract did to a month that was cleaned before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core import engine
from taxi_platform.core.parquet import ParquetFile


@dataclass(frozen=True)
class Moves:
    """How many rows changed sides between two cleanings of the same raw file."""

    back: int
    away: int

    def __str__(self) -> str:
        return f"{self.back:,} rows came back from the quarantine, {self.away:,} went into it"


def moves(before: ParquetFile | None, now: ParquetFile, spill_to: Path) -> Moves | None:
    """Compare the quarantines of two cleanings, row number by row number.

    Args:
        before: The quarantine of the cleaning before, if there was one.
        now: The quarantine of this one.
        spill_to: Folder for what does not fit into memory.

    Returns:
        The moves; None where there is nothing to compare: another raw file, or no cleaning before.
    """
    if before is None or before.lineage.source_sha256 != now.lineage.source_sha256:
        return None
    with engine.connect(spill_to) as con:
        ((back, away), *_) = con.execute(
            f"""
            SELECT count(*) FILTER (now.row_number IS NULL), count(*) FILTER (before.row_number IS NULL)
            FROM {engine.parquet(before.path)} AS before FULL JOIN {engine.parquet(now.path)} AS now USING (row_number)
            """
        ).fetchall()
    return Moves(back, away)
