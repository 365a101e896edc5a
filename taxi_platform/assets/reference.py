"""`reference/taxi_zones`: what location ids stand for; `reference/taxi_zone_shapes`: where that is. Without months."""

import dagster as dg
import pyarrow as pa

from taxi_platform.assets.metadata import table_metadata
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.editions import held_still
from taxi_platform.core.files import work_folder, write_text
from taxi_platform.core.reference import read_reference_file
from taxi_platform.core.source.files import Wanted
from taxi_platform.core.zone_shapes import FILE, plan_of_squares, read_shapes, write_shapes
from taxi_platform.failures import reported
from taxi_platform.resources import SourceResource, WorkspaceResource

#: The name of the asset, and a page about what it holds.
SHAPES = "taxi_zone_shapes"
PAGE_OF_SHAPES = "https://data.cityofnewyork.us/Transportation/NYC-Taxi-Zones/8meu-9t5y"


def build_zones_asset(catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that fetches the zone lookup into the warehouse."""
    contract = catalog.zones

    @dg.asset(
        key=["reference", contract.table],
        description=f"{contract.title}. {contract.description}",
        group_name="reference",
        owners=[contract.owner],
        tags={"taxi/layer": "reference"},
        kinds={"table"},
        metadata=table_metadata(contract, contract.columns),
        io_manager_key="reference_io_manager",
    )
    def taxi_zones(context: dg.AssetExecutionContext, source: SourceResource) -> pa.Table:
        with reported(contract.table):
            raw = source.open(catalog).fetch_reference(contract, context.log).raw
            context.add_output_metadata({"source URL": raw.publication.url, "SHA-256": raw.sha256})
            with held_still(contract.table, raw):
                zones = read_reference_file(contract, raw)
            context.log.info(f"{contract.table}: {zones.num_rows} rows from {raw.publication.url}")
            return zones

    return taxi_zones


def build_shapes_asset(catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that fetches the shapes of the zones, for maps; of the sample source they are squares."""
    zones = catalog.zones

    @dg.asset(
        key=["reference", SHAPES],
        description="Where the taxi zones are: their shapes as NYC Open Data publishes them, to ten metres.",
        group_name="reference",
        owners=[zones.owner],
        tags={"taxi/layer": "reference"},
        kinds={"geojson"},
        metadata={"documentation": dg.MetadataValue.url(PAGE_OF_SHAPES)},
    )
    def taxi_zone_shapes(
        context: dg.AssetExecutionContext, source: SourceResource, workspace: WorkspaceResource
    ) -> dg.MaterializeResult:
        path, opened = workspace.shapes, source.open(catalog)
        with reported(SHAPES), work_folder(path.parent, path.name) as work:
            if source.location.strip() == "sample":
                raw = opened.fetch_reference(zones, context.log).raw
                lookup, where = read_reference_file(zones, raw), raw.publication.url
                shapes = plan_of_squares((row[zones.key], row["borough"]) for row in lookup.to_pylist())
            else:
                where = opened.fetch_as_it_is(Wanted(SHAPES, SHAPES, "", (FILE,)), work / FILE, context.log).url
                shapes = read_shapes((work / FILE).read_bytes(), where)
            write_text(path, write_shapes(shapes))
        context.log.info(f"{SHAPES}: {len(shapes)} zones from {where}")
        return dg.MaterializeResult(
            metadata={
                "source URL": where,
                "zones": len(shapes),
                "bytes": path.stat().st_size,
                "path": dg.MetadataValue.path(str(path)),
            }
        )

    return taxi_zone_shapes
