"""6. `report/page`: one HTML file of what the marts hold and whether to believe it. Before: `marts.py`."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from taxi_platform.assets.marts import mart_key
from taxi_platform.assets.reference import SHAPES
from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import SOURCE_MONTH
from taxi_platform.core.files import sha256_of, write_text
from taxi_platform.core.warehouse import Warehouse
from taxi_platform.core.zone_shapes import COARSE, plan_of_squares, read_shapes
from taxi_platform.failures import reported
from taxi_platform.marts import Mart
from taxi_platform.resources import LakeResource, WarehouseResource, WorkspaceResource

if TYPE_CHECKING:
    from taxi_platform.report.page import Download

PAGE = dg.AssetKey(["report", "page"])


def build_page_asset(marts: Sequence[Mart], catalog: Catalog) -> dg.AssetsDefinition:
    """The asset that is the page."""

    @dg.asset(
        key=PAGE,
        deps=[*(mart_key(it) for it in marts), ["reference", SHAPES]],
        description="A page of what the marts hold and whether to believe it: one HTML file that needs no network.",
        group_name="report",
        owners=["team:data-platform"],
        tags={"taxi/layer": "report"},
        kinds={"html"},
    )
    def page(
        context: dg.AssetExecutionContext,
        workspace: WorkspaceResource,
        warehouse: WarehouseResource,
        lake: LakeResource,
    ) -> dg.MaterializeResult:
        # Only who makes the page waits for what draws it.
        from taxi_platform.report.figures import figures_of, zone_names
        from taxi_platform.report.page import page_of
        from taxi_platform.report.trust import trust_of

        with reported("report"):
            store, folder = warehouse.open(catalog, context.run.run_id), Path(workspace.data_dir) / "report"
            figures, shapes = figures_of(store), workspace.shapes
            names = zone_names(store, catalog, figures)
            published = read_shapes(shapes.read_bytes(), str(shapes), COARSE) if shapes.exists() else None
            html = page_of(
                figures,
                names,
                published or plan_of_squares(zip(names["zone"], names["borough"], strict=True)),
                trust_of(context.instance, workspace, lake.open(), catalog),
                made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
                shapes_are_plan=published is None,
                downloads=_downloads(store, marts, folder),
            )
            written = folder / "index.html"
            write_text(written, html)
            in_lake = lake.open().put_object("_report/index.html", written, sha256_of(written))
            context.log.info(f"the page: {written}, and {in_lake}")
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(written)),
                "bytes": len(html.encode()),
                "months": len(figures.months),
                "trips": int(figures.months["trips"].sum()) if len(figures.months) else 0,
            }
        )

    return page


def _downloads(store: Warehouse, marts: Sequence[Mart], folder: Path) -> "list[Download]":
    """Write each mart's months as CSV beside the page."""
    from taxi_platform.report.page import Download

    found = list[Download]()
    for mart in marts:
        if not store.columns_of(mart):
            continue
        columns, table = [it.name for it in mart.columns], store.table_name(mart)
        days = {row["day"] for row in store.ask(f"SELECT DISTINCT {SOURCE_MONTH} AS day FROM {table}", mart.name)}
        for day in sorted(days):
            rows = store.ask(f"SELECT * FROM {table} WHERE {SOURCE_MONTH} = DATE '{day}'", mart.name)
            text = io.StringIO()
            writer = csv.DictWriter(text, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
            path = f"marts/{mart.name}/{day:%Y-%m}.csv"
            write_text(folder / path, text.getvalue())
            found.append(Download(mart.name, f"{day:%Y-%m}", path))
    return found
