"""The official figures that are at hand in a data folder: those that were fetched last; else what is shipped."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.core.catalog.model import ReferenceContract
from taxi_platform.core.catalog.published import Counts
from taxi_platform.core.files import publish, work_folder
from taxi_platform.core.month import Month
from taxi_platform.core.official import bases, report
from taxi_platform.core.official.counting import counts_of, read_counts
from taxi_platform.core.official.report import Report, report_of, shipped_report

#: What the addresses of generated files begin with.
GENERATED = "sample://"
_log = logging.getLogger(__name__)
#: Where in a file's metadata it is said where its rows are from.
_SOURCE = b"taxi_source"


@dataclass(frozen=True)
class OfficialFigures:
    """What TLC reports, as far as it is in a data folder.

    Attributes:
        data_dir: The data folder.
    """

    data_dir: Path

    def keep(self, contract: ReferenceContract, rows: pa.Table, source: str) -> Path:
        """Keep a report's rows here, for whoever judges a month; readers see the old rows or the new ones.

        Args:
            contract: Of the report.
            rows: Its rows, found right.
            source: Where they are from and since when, to people.

        Returns:
            The file.
        """
        path = self._path(contract.table)
        with work_folder(path.parent, path.name) as work:
            told = rows.replace_schema_metadata({_SOURCE: source})
            pq.write_table(told, work / path.name)  # pyright: ignore[reportUnknownMemberType]
            publish(work / path.name, path)
        return path

    def report(self) -> Report:
        """TLC's monthly report: the one that was fetched last, or the one that is shipped."""
        rows = self._rows(report.TABLE)
        if rows is None:
            return shipped_report()
        return report_of(rows, _source_of(rows) or report.REPORT_URL)

    @property
    def counts(self) -> Counts:
        """Rows of TLC's files that are newer than its catalogue, as far as they were counted."""
        return counts_of(read_counts(self.data_dir))

    def by_base(self, dataset: str, month: Month) -> Mapping[str, int]:
        """Trips that bases reported of a month, by base; none where that report was not fetched, or has none."""
        rows = self._rows(bases.TABLE, month)
        return {} if rows is None else bases.reported_by_base(dataset, month, rows)

    def _path(self, table: str) -> Path:
        return self.data_dir / "reference" / f"{table}.parquet"

    def _rows(self, table: str, month: Month | None = None) -> pa.Table | None:
        path = self._path(table)
        only: Any = [("report_month", "=", month.first_day)] if month else None
        try:
            rows = pq.read_table(path, filters=only)  # pyright: ignore[reportUnknownMemberType]
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:  # no month stops at what it is only held against
            _log.warning("%s cannot be read, and is passed over (materialize reference/%s): %s", path, table, error)
            return None
        # What was made up for the sample source says nothing of real months.
        return None if _source_of(rows).startswith(GENERATED) else rows


def _source_of(rows: pa.Table) -> str:
    return (rows.schema.metadata or {}).get(_SOURCE, b"").decode()
