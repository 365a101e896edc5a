"""The `warehouse` layer and the reference tables: rows in a database, replaced by `source_month` or as a whole."""

import time
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from taxi_platform.core import engine
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.editions import MonthFiles, held_still, require_name
from taxi_platform.core.lake import Lake
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse import Warehouse
from taxi_platform.failures import reported
from taxi_platform.handed_on import CONTENT
from taxi_platform.io_managers.loading import load_relation, months_of
from taxi_platform.io_managers.records import LAKE_VERSION, RAW_SHA256, STORE


class WarehouseIOManager(dg.IOManager):
    """Replaces a month of a dataset's table, and loads months from it."""

    def __init__(self, warehouse: Warehouse, store: str, lake: Lake, catalog: Catalog, data_dir: Path) -> None:
        self._warehouse, self._store, self._lake = warehouse, store, lake
        self._catalog, self._data_dir = catalog, data_dir

    def handle_output(self, context: dg.OutputContext, obj: ParquetFile) -> None:
        """Make the file's rows the month's only rows, if it is still what the lake holds."""
        contract = self._catalog.of_table(context.asset_key.path[-1])
        month = Month.parse(context.asset_partition_key)
        started = time.monotonic()
        files = MonthFiles(self._data_dir, contract.dataset, month)
        with reported(files.about), files.alone(), held_still(files.about, obj):
            # A lake elsewhere brings each version to a file of its own: that one stays, whatever the lake holds now.
            require_name(files.about, self._lake.get(contract, month), obj.sha256)
            rows = self._warehouse.replace_month(contract, month, obj)
        seconds = time.monotonic() - started
        context.log.info(f"{contract.dataset} {month}: {rows:,} rows into {self._warehouse.table_name(contract)}")
        context.add_output_metadata(
            {
                "dagster/partition_row_count": rows,
                STORE: self._store,
                LAKE_VERSION: obj.version,
                CONTENT: obj.sha256,
                "rows per second": round(rows / max(seconds, 1e-3)),
                "seconds": round(seconds, 3),
            }
            | ({RAW_SHA256: obj.known_lineage.source_sha256} if obj.known_lineage else {})
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """The rows of the months asked for."""
        contract = self._catalog.of_table(context.asset_key.path[-1])
        with reported("/".join(context.asset_key.path)):
            rows = self._warehouse.read_months(contract, months_of(context))
            return _load(rows, context, self._data_dir / ".spill")


class ReferenceIOManager(dg.IOManager):
    """Replaces a reference table, and loads it."""

    def __init__(self, warehouse: Warehouse, catalog: Catalog, spill_to: Path) -> None:
        self._warehouse, self._catalog, self._spill_to = warehouse, catalog, spill_to

    def handle_output(self, context: dg.OutputContext, obj: pa.Table) -> None:
        """Make `obj` the table's only rows."""
        contract = self._catalog.references[context.asset_key.path[-1]]
        with reported(contract.table):
            rows = self._warehouse.replace_reference(contract, obj)
        context.add_output_metadata({"dagster/row_count": rows})

    def load_input(self, context: dg.InputContext) -> Any:
        """The table's rows."""
        contract = self._catalog.references[context.asset_key.path[-1]]
        with reported(contract.table):
            return _load(self._warehouse.read_reference(contract), context, self._spill_to)


def _load(rows: pa.Table, context: dg.InputContext, spill_to: Path) -> Any:
    return load_relation(engine.connect(spill_to).from_arrow(rows), context)
