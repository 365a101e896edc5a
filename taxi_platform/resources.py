"""What assets and IO managers share: the workspace, the source, the lake and the warehouse, thin shells over `core`.

A field that was set in the environment is shown in the UI by its variable's name, never by its value.
"""

from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.files import work_folder
from taxi_platform.core.lake import Lake, open_lake
from taxi_platform.core.source import Source, open_source
from taxi_platform.core.warehouse import Warehouse, open_warehouse
from taxi_platform.settings import Settings


class WorkspaceResource(dg.ConfigurableResource):
    """The data folder, for work in progress."""

    data_dir: str

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
        return open_source(self.location, Path(self.raw_dir), catalog, self.sample_rows)


class LakeResource(dg.ConfigurableResource):
    """The data lake; `TAXI_LAKE_URL` says what `url` accepts."""

    url: str

    def open(self) -> Lake:
        """The lake."""
        return open_lake(self.url)


class WarehouseResource(dg.ConfigurableResource):
    """The warehouse; `TAXI_WAREHOUSE_URL` says what `url` accepts."""

    url: str

    def open(self) -> Warehouse:
        """The warehouse."""
        return open_warehouse(self.url)


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
