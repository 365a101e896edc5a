"""Layers kept as files below the data folder: `raw` (as published), `cleaned` and `quarantine` (Parquet)."""

from pathlib import Path
from typing import Any

import dagster as dg

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.editions import MonthFiles, require_name
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source import RawFile
from taxi_platform.failures import reported
from taxi_platform.handed_on import CONTENT, name_handed_on
from taxi_platform.io_managers.loading import load_files, load_raw, months_of


class RawIOManager(dg.IOManager):
    """`<data dir>/raw/<dataset>/<YYYY-MM>/<original file name>`, with its provenance beside it.

    The fetch has put the file there already, verified: what is stored here is that it did.
    """

    def __init__(self, raw_dir: Path, catalog: Catalog) -> None:
        self._raw_dir, self._catalog = raw_dir, catalog

    def handle_output(self, context: dg.OutputContext, obj: RawFile) -> None:
        """Distrust the record: is the file where it will be looked for?"""
        self._find(context.asset_key, Month.parse(context.asset_partition_key))
        context.add_output_metadata({"path": dg.MetadataValue.path(obj.path)})

    def load_input(self, context: dg.InputContext) -> RawFile:
        """One month as a `RawFile`, or the rows of any months as they were published."""
        files = {month: self._find(context.asset_key, month) for month in months_of(context)}
        with reported("/".join(context.asset_key.path)):
            return load_raw(files, context, self._raw_dir.parent / ".spill")

    def _find(self, key: dg.AssetKey, month: Month) -> RawFile:
        dataset = self._catalog.of_table(key.path[-1]).dataset
        with reported(f"{dataset} {month}"):
            return RawFile.expected_in(
                self._raw_dir / dataset / str(month), f"{dataset} {month}", "materialize the month's raw asset"
            )


class ParquetIOManager(dg.IOManager):
    """`<data dir>/<layer>/<dataset>/<YYYY-MM>.parquet`, handed on by the name of its content.

    The cleaning has put the month's two files there already, both at once: what is stored here is what they are.
    """

    def __init__(self, data_dir: Path, catalog: Catalog) -> None:
        self._data_dir, self._catalog = data_dir, catalog

    def handle_output(self, context: dg.OutputContext, obj: ParquetFile) -> None:
        """Say where the file is and what it is: who takes it sees that it still is."""
        context.add_output_metadata(
            {"path": dg.MetadataValue.path(obj.path), "dagster/uri": obj.path.as_uri(), CONTENT: obj.sha256}
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """One month as a `ParquetFile`, or any months as rows; in a run, what that run has made of them."""
        with reported("/".join(context.asset_key.path)):
            files = {month: self._existing(context, month) for month in months_of(context)}
            return load_files(files, context, self._data_dir / ".spill")

    def _existing(self, context: dg.InputContext, month: Month) -> ParquetFile:
        layer, table = context.asset_key.path
        files = MonthFiles(self._data_dir, self._catalog.of_table(table).dataset, month)
        file = ParquetFile(files.path(layer))
        if not file.path.exists():
            about = f"{'/'.join(context.asset_key.path)} {month}"
            raise TaxiPlatformError("the file is not here", about=about, where=file.uri, fix="materialize it")
        if (name := name_handed_on(context, month)) is not None:
            require_name(files.about, file, name)
        return file
