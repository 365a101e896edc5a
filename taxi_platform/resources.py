"""What assets and IO managers share: the workspace, the source, the lake and the warehouse, thin shells over `core`.

A field that was set in the environment is shown in the UI by its variable's name, never by its value.
"""

from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg
import pyarrow as pa

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.files import work_folder
from taxi_platform.core.lake import Lake, open_lake
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile
from taxi_platform.core.source import Source, open_source
from taxi_platform.core.warehouse import Warehouse, open_warehouse
from taxi_platform.settings import Settings


class WorkspaceResource(dg.ConfigurableResource):
    """The data folder, for work in progress."""

    data_dir: str

    def kept(self, layer: str, dataset: str, month: Month) -> ParquetFile | None:
        """A layer's file of a month, if it is here; one that is damaged or not the platform's counts as gone."""
        file = ParquetFile(Path(self.data_dir) / layer / dataset / f"{month}.parquet")
        try:
            _ = file.lineage
        except (TaxiPlatformError, OSError, pa.ArrowInvalid):
            return None  # whoever asks only compares with it: neither its own month nor later ones may stop at it
        return file

    def lineages_before(self, dataset: str, month: Month) -> list[Lineage]:
        """Where the cleaned months of the year before `month` came from, as far as they are here."""
        files = (self.kept("cleaned", dataset, earlier) for earlier in month.year_before)
        return [file.lineage for file in files if file is not None]

    def folder_for(self, dataset: str, name: str) -> AbstractContextManager[Path]:
        """A private folder, gone when its block ends, on the file system the dataset's files are kept on."""
        return work_folder(Path(self.data_dir) / "cleaned" / dataset, name)


class SourceResource(dg.ConfigurableResource):
    """Where months come from; `TAXI_SOURCE` says what `location` accepts."""

    location: str
    raw_dir: str
    sample_rows: int

    def open(self, catalog: Catalog) -> Source:
        """The source."""
        return open_source(self.location.strip(), Path(self.raw_dir), catalog, self.sample_rows)


class LakeResource(dg.ConfigurableResource):
    """The data lake; `TAXI_LAKE_URL` says what `url` accepts."""

    url: str

    def open(self) -> Lake:
        """The lake."""
        return open_lake(self.url.strip())


class WarehouseResource(dg.ConfigurableResource):
    """The warehouse; `TAXI_WAREHOUSE_URL` says what `url` accepts."""

    url: str

    def open(self, catalog: Catalog) -> Warehouse:
        """The warehouse."""
        return open_warehouse(self.url.strip(), catalog.zones)


def build_resources(settings: Settings) -> dict[str, dg.ConfigurableResource]:
    """The resources by the keys that assets and IO managers ask for them under."""

    def shown(variable: str, value: str) -> str:
        return dg.EnvVar(variable) if variable in settings.from_environment else value

    return {
        "workspace": WorkspaceResource(data_dir=str(settings.data_dir)),
        "source": SourceResource(
            location=shown("TAXI_SOURCE", settings.source),
            raw_dir=str(settings.data_dir / "raw"),
            sample_rows=settings.sample_rows,
        ),
        "lake": LakeResource(url=shown("TAXI_LAKE_URL", settings.lake_url)),
        "warehouse": WarehouseResource(url=shown("TAXI_WAREHOUSE_URL", settings.warehouse_url)),
    }
