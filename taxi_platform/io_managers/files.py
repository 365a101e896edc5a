"""Layers kept as files below the data folder: `raw` (as published), `cleaned` and `quarantine` (Parquet)."""

from pathlib import Path
from typing import Any

import dagster as dg

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.cleaning import clean
from taxi_platform.core.editions import MonthFiles, require_name
from taxi_platform.core.errors import NotHeldError, TaxiPlatformError
from taxi_platform.core.files import work_folder
from taxi_platform.core.lake import Lake
from taxi_platform.core.lake.layers import MonthLayers
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source import RawFile
from taxi_platform.core.zone_shapes import shapes_below
from taxi_platform.failures import reported
from taxi_platform.handed_on import CONTENT, name_handed_on, name_of_latest
from taxi_platform.io_managers.loading import load_files, load_raw, months_of


class RawIOManager(dg.IOManager):
    """`<data dir>/raw/<dataset>/<YYYY-MM>/<original file name>`, with its provenance beside it.

    Every edition of it is in the lake too, from where a machine that has not fetched the month takes it. The fetch has
    put the file there already, verified: what is stored here is that it did.
    """

    def __init__(self, raw_dir: Path, catalog: Catalog, lake: Lake, keep_editions: int = 0) -> None:
        self._raw_dir, self._catalog, self._lake, self._keep_editions = raw_dir, catalog, lake, keep_editions

    def handle_output(self, context: dg.OutputContext, obj: RawFile) -> None:
        """Distrust the record: is the file where it will be looked for?"""
        month = Month.parse(context.asset_partition_key)
        layers = self._layers(context.asset_key, month)
        with reported(layers.about):
            self._expected(layers)
            layers.keep(obj)
            layers.taken(obj)
            for sha256 in layers.forget(self._keep_editions):
                context.log.info(f"{layers.about}: edition {sha256[:12]} is not kept any longer")
        context.add_output_metadata({"path": dg.MetadataValue.path(obj.path)})

    def load_input(self, context: dg.InputContext) -> RawFile:
        """One month as a `RawFile`, or the rows of any months as they were published."""
        files = {month: self._find(context, month) for month in months_of(context)}
        with reported("/".join(context.asset_key.path)):
            return load_raw(files, context, self._raw_dir.parent / ".spill")

    def _find(self, context: dg.InputContext, month: Month) -> RawFile:
        """The edition that the month is made of: the one that is here, or the lake's if that is another or none is."""
        layers = self._layers(context.asset_key, month)
        with reported(layers.about):
            here, choice = RawFile.in_folder(self._raw_dir / layers.dataset / str(month)), layers.choice()
            # What is here and was never kept was fetched a moment ago, or by a platform that kept no editions.
            if choice and (here is None or (here.sha256 != choice.sha256 and layers.has(here.sha256))):
                context.log.info(f"{layers.about}: taking edition {choice.sha256[:12]} from the lake")
                return layers.bring(choice.sha256, self._raw_dir, context.log)
            return self._expected(layers)

    def _layers(self, key: dg.AssetKey, month: Month) -> MonthLayers:
        return MonthLayers(self._lake, self._catalog.of_table(key.path[-1]).dataset, month)

    def _expected(self, layers: MonthLayers) -> RawFile:
        folder = self._raw_dir / layers.dataset / str(layers.month)
        return RawFile.expected_in(folder, layers.about, "materialize the month's raw asset")


class ParquetIOManager(dg.IOManager):
    """`<data dir>/<layer>/<dataset>/<YYYY-MM>.parquet`, handed on by the name of its content.

    Where another machine has made the month, it is what the lake has of it. The cleaning has put the month's two files
    there already, both at once: what is stored here is what they are.
    """

    def __init__(self, data_dir: Path, catalog: Catalog, lake: Lake) -> None:
        self._data_dir, self._catalog, self._lake = data_dir, catalog, lake

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
        name = name_handed_on(context, month)
        file = ParquetFile(files.path(layer))
        # A run that goes on after a failure may do so on another machine, which has not what the first one made.
        if name is None or not file.path.exists():
            file = self._made_here(context, files, layer)
        if not file.path.exists():
            about = f"{'/'.join(context.asset_key.path)} {month}"
            raise TaxiPlatformError("the file is not here", about=about, where=file.uri, fix="materialize it")
        if name is not None:
            require_name(files.about, file, name)
        return file

    def _made_here(self, context: dg.InputContext, files: MonthFiles, layer: str) -> ParquetFile:
        """The month as it was made last: here, or by another machine, which has left it in the lake."""
        here = ParquetFile(files.path(layer))
        made = _latest(context, files.month)
        if here.path.exists() and (made is None or here.sha256 == made[0]):
            return here
        there = self._in_lake(files, layer)
        if there is not None and (made is None or there.sha256 == made[0]):
            context.log.info(f"{files.about}: taking the {layer} rows from the lake")
            return there
        return here if here.path.exists() else self._made_again(context, files, layer, made)

    def _in_lake(self, files: MonthFiles, layer: str) -> ParquetFile | None:
        if layer == "quarantine":
            return MonthLayers(self._lake, files.dataset, files.month).quarantine()
        try:
            return self._lake.get(self._catalog.trips[files.dataset], files.month)
        except NotHeldError:
            return None

    def _made_again(
        self, context: dg.InputContext, files: MonthFiles, layer: str, made: tuple[str, int] | None
    ) -> ParquetFile:
        """The month cleaned once more, by the contract, of the edition in the lake: who made it has not come so far."""
        contract, layers = self._catalog.trips[files.dataset], MonthLayers(self._lake, files.dataset, files.month)
        choice, since = layers.choice(), files.standing()
        if choice is None:
            return ParquetFile(files.path(layer))
        context.log.info(f"{files.about}: cleaning edition {choice.sha256[:12]} of the lake once more")
        raw = layers.bring(choice.sha256, self._data_dir / "raw", context.log)
        with work_folder(self._data_dir / "cleaned" / files.dataset, str(files.month)) as work:
            result = clean(contract, files.month, raw, contract.actions(), work, shapes=shapes_below(self._data_dir))
            again = {"cleaned": result.cleaned, "quarantine": result.quarantine}[layer]
            if made is not None and again.rows != made[1]:
                raise TaxiPlatformError(
                    f"the month has {again.rows:,} {layer} rows by the contract, and {made[1]:,} when it was made",
                    about=files.about,
                    cause="it was made elsewhere by other rules, or by another version of the contract",
                    fix=f"materialize cleaned/{contract.table} here, with the rules that are meant",
                )
            if made is not None and again.sha256 != made[0]:
                context.log.warning(
                    f"{files.about}: the {layer} rows are not byte for byte what was made last; "
                    f"zones are {result.zones or 'those that TLC published'}"
                )
            return files.publish(result.cleaned, result.quarantine, since)[layer]


def _latest(context: dg.InputContext, month: Month) -> tuple[str, int] | None:
    """What the month was when it was made last; None where Dagster has no record, or there is no Dagster."""
    try:
        return name_of_latest(context.instance, context.asset_key, month)
    except dg.DagsterInvariantViolationError:
        return None
