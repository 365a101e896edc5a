"""The `lake` layer: one object per month."""

import time
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.editions import MonthFiles, held_still, require_name
from taxi_platform.core.lake import Lake
from taxi_platform.core.lake.layers import MonthLayers
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.failures import reported
from taxi_platform.handed_on import CONTENT, name_handed_on
from taxi_platform.io_managers.loading import load_files, months_of, not_loadable


class LakeIOManager(dg.IOManager):
    """Stores a month's Parquet in the lake, and loads it from there."""

    def __init__(self, lake: Lake, catalog: Catalog, data_dir: Path) -> None:
        self._lake, self._catalog, self._data_dir = lake, catalog, data_dir

    def handle_output(self, context: dg.OutputContext, obj: ParquetFile) -> None:
        """Replace the month's object, if the cleaned file is still the one that was checked."""
        contract = self._catalog.of_table(context.asset_key.path[-1])
        month = Month.parse(context.asset_partition_key)
        started = time.monotonic()
        files = MonthFiles(self._data_dir, contract.dataset, month)
        with reported(files.about), files.alone(), held_still(files.about, obj):
            self._keep_quarantine(files, obj)
            uri = self._lake.put(contract, month, obj)
        context.log.info(f"{contract.dataset} {month}: stored as {uri}")
        context.add_output_metadata(
            {
                "dagster/uri": uri,
                "bytes": obj.bytes,
                CONTENT: obj.sha256,
                "seconds": round(time.monotonic() - started, 3),
            }
        )

    def _keep_quarantine(self, files: MonthFiles, cleaned: ParquetFile) -> None:
        """What was turned away goes where what was kept goes. Where it is not here, whoever made it has done so."""
        turned_away = ParquetFile(files.path("quarantine"))
        is_here = turned_away.path.exists() and turned_away.known_lineage is not None
        if is_here and turned_away.lineage.edition_name == cleaned.lineage.edition_name:
            MonthLayers(self._lake, files.dataset, files.month).keep_quarantine(turned_away)

    def load_input(self, context: dg.InputContext) -> Any:
        """One month as a `ParquetFile` or, without bringing it here, as its URI; or any months as rows."""
        contract, months = self._catalog.of_table(context.asset_key.path[-1]), months_of(context)
        with reported("/".join(context.asset_key.path)):
            if context.dagster_type.typing_type is str:
                if len(months) > 1:
                    raise not_loadable(context)
                return self._lake.uri(contract, months[0])
            files = {month: self._lake.get(contract, month) for month in months}
            for month, file in files.items():
                if (name := name_handed_on(context, month)) is not None:
                    require_name(f"{contract.dataset} {month}", file, name)
            return load_files(files, context, self._data_dir / ".spill")
