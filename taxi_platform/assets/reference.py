"""The reference tables, which have no months: what location ids stand for, where that is, and what TLC reports."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa

from taxi_platform.assets.metadata import reference_attributes, table_metadata
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import ReferenceContract
from taxi_platform.core.editions import held_still
from taxi_platform.core.files import work_folder, write_text
from taxi_platform.core.month import Month
from taxi_platform.core.official import bases
from taxi_platform.core.official.bases import read_base_report
from taxi_platform.core.official.counting import count, counts_of, place_of, read_counts, write_counts
from taxi_platform.core.reference import read_reference_file
from taxi_platform.core.source.files import Wanted
from taxi_platform.core.zone_shapes import FILE, plan_of_squares, read_shapes, write_shapes
from taxi_platform.failures import reported
from taxi_platform.resources import SourceResource, WorkspaceResource

#: The name of the asset, and a page about what it holds.
SHAPES = "taxi_zone_shapes"
PAGE_OF_SHAPES = "https://data.cityofnewyork.us/Transportation/NYC-Taxi-Zones/8meu-9t5y"
#: The name of the asset of row counts.
COUNTS = "published_rows"
#: How a table is read from its file, where it is not as its contract says alone.
_READERS = {bases.TABLE: read_base_report}


def build_zones_asset(catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that fetches the zone lookup into the warehouse."""
    contract = catalog.zones

    @dg.asset(
        **reference_attributes(contract.table, contract.owner),
        description=f"{contract.title}. {contract.description}",
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


def build_report_asset(contract: ReferenceContract, catalog: Catalog) -> dg.AssetsDefinition:
    """An asset that fetches a report of TLC's into the warehouse, and keeps it for the months that are held against it.

    Args:
        contract: Of the report.
        catalog: The contracts.
    """
    read = _READERS.get(contract.table, read_reference_file)

    @dg.asset(
        **reference_attributes(contract.table, contract.owner),
        description=f"{contract.title}. {contract.description}",
        kinds={"table"},
        metadata=table_metadata(contract, contract.columns),
        io_manager_key="reference_io_manager",
    )
    def report(context: dg.AssetExecutionContext, source: SourceResource, workspace: WorkspaceResource) -> pa.Table:
        with reported(contract.table):
            fetched = source.open(catalog).fetch_reference(contract, context.log)
            raw = fetched.raw
            with held_still(contract.table, raw):
                rows = read(contract, raw)
            where = f"{raw.publication.url}, as of {raw.fetched_at[:10]}"
            path = workspace.official.keep(contract, rows, where)
            context.add_output_metadata(
                {
                    "source URL": raw.publication.url,
                    "SHA-256": raw.sha256,
                    "changed": fetched.changed,
                    "path": dg.MetadataValue.path(str(path)),
                }
            )
            context.log.info(f"{contract.table}: {rows.num_rows:,} rows from {raw.publication.url}")
            return rows

    return report


def build_shapes_asset(catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that fetches the shapes of the zones, for maps; of the sample source they are squares."""
    zones = catalog.zones

    @dg.asset(
        **reference_attributes(SHAPES, zones.owner),
        description="Where the taxi zones are: their shapes as NYC Open Data publishes them, to ten metres.",
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


def build_counts_asset(catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that counts the rows of the months that TLC's catalogue lacks, without fetching them."""

    @dg.asset(
        **reference_attributes(COUNTS, catalog.zones.owner),
        description="Rows of TLC's own Parquet files that are newer than its catalogue, read from their footers.",
        kinds={"csv"},
    )
    def published_rows(
        context: dg.AssetExecutionContext, source: SourceResource, workspace: WorkspaceResource
    ) -> dg.MaterializeResult:
        data_dir = Path(workspace.data_dir)
        counted = read_counts(data_dir)
        before = len(counted)
        with reported(COUNTS):
            if source.is_of_tlc:
                today, tlc = datetime.now(UTC), source.open_tlc(catalog)
                last = Month(today.year, today.month).previous
                try:
                    for contract in catalog.trips.values():
                        for it in count(tlc, contract, counts_of(counted), last, context.log):
                            counted.append(it)
                finally:  # what was counted until the source stopped answering is not counted again
                    write_counts(data_dir, counted)
            else:
                context.log.info("the source is not TLC's: nothing was counted")
        metadata: dict[str, int | dg.MetadataValue] = {"months": len(counted), "new": len(counted) - before}
        return dg.MaterializeResult(metadata=metadata | {"path": dg.MetadataValue.path(str(place_of(data_dir)))})

    return published_rows
