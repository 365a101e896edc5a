"""How a value of a layer is stored and loaded. Thin: what storing means is `core`'s business."""

from pathlib import Path

import dagster as dg

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.warehouse import Warehouse
from taxi_platform.io_managers.files import ParquetIOManager, RawIOManager
from taxi_platform.io_managers.lake import LakeIOManager
from taxi_platform.io_managers.warehouse import ReferenceIOManager, WarehouseIOManager


def build_io_managers(data_dir: Path, catalog: Catalog, keep_editions: int = 0) -> dict[str, dg.IOManagerDefinition]:
    """The IO managers by the keys that assets name them by. Nothing of them is for a run's config to say.

    Args:
        data_dir: The data folder.
        catalog: The contracts.
        keep_editions: How many editions of a month's raw file the lake keeps; 0 for all.
    """
    spill_to = data_dir / ".spill"

    def warehouse_of(init: dg.InitResourceContext) -> Warehouse:
        return init.resources.warehouse.open(catalog, init.run.run_id if init.run else "")

    @dg.io_manager(config_schema={}, required_resource_keys={"lake"})
    def raw_io_manager(init: dg.InitResourceContext) -> RawIOManager:
        return RawIOManager(data_dir / "raw", catalog, init.resources.lake.open(), keep_editions)

    @dg.io_manager(config_schema={}, required_resource_keys={"lake"})
    def parquet_io_manager(init: dg.InitResourceContext) -> ParquetIOManager:
        return ParquetIOManager(data_dir, catalog, init.resources.lake.open())

    @dg.io_manager(config_schema={}, required_resource_keys={"lake"})
    def lake_io_manager(init: dg.InitResourceContext) -> LakeIOManager:
        return LakeIOManager(init.resources.lake.open(), catalog, data_dir)

    @dg.io_manager(config_schema={}, required_resource_keys={"warehouse", "lake"})
    def warehouse_io_manager(init: dg.InitResourceContext) -> WarehouseIOManager:
        store, lake = init.resources.warehouse.store, init.resources.lake.open()
        return WarehouseIOManager(warehouse_of(init), store, lake, catalog, data_dir)

    @dg.io_manager(config_schema={}, required_resource_keys={"warehouse"})
    def reference_io_manager(init: dg.InitResourceContext) -> ReferenceIOManager:
        return ReferenceIOManager(warehouse_of(init), catalog, spill_to)

    return {
        "raw_io_manager": raw_io_manager,
        "parquet_io_manager": parquet_io_manager,
        "lake_io_manager": lake_io_manager,
        "warehouse_io_manager": warehouse_io_manager,
        "reference_io_manager": reference_io_manager,
    }
