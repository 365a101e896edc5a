"""What the UI shows of an asset and of each materialization: schemas, tables, small plots, previews."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, TypedDict

import dagster as dg

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import Column, TableContract, TripContract
from taxi_platform.core.cleaning import CleanedMonth, RuleCount
from taxi_platform.core.parquet import Lineage, ParquetFile
from taxi_platform.core.showing import LONGEST_TEXT, MOST_NAMED, cut_in_sql, escaped, listed, shown
from taxi_platform.core.source import RawFile

_PREVIEW_ROWS = 10
#: Columns of a preview: twice those of any contract. A file in the lake may be anybody's, and have thousands.
_PREVIEW_COLUMNS = 100
#: What a quarantined row says of itself before and after the contract's columns: type and description by name.
_BEFORE = {
    "row_number": ("int64", "Where the row stood among the data rows of its file; the first is 1."),
    "broken_rules": ("list of string", "The rules the row breaks, in the contract's order."),
    "unreadable_columns": ("list of string", "The columns whose value did not convert."),
    "source_file": ("string", "Name of the file the row came in."),
    "contract_version": ("string", "Version of the contract the row was judged by."),
}
_AFTER = {"original": ("string", "The row as published: a JSON object, every value as text.")}
_COLOURS = {"rejected": "#c0392b", "kept": "#e6a23c"}


class Attributes(TypedDict):
    """What every asset of a dataset says of itself, as keyword arguments of Dagster's decorators."""

    key: list[str]
    group_name: str
    owners: list[str]
    tags: dict[str, str]


def attributes(contract: TripContract, layer: str, name: str = "") -> Attributes:
    """The attributes of a dataset's asset of one layer; its name is that of the dataset's table by default."""
    return {
        "key": [layer, name or contract.table],
        "group_name": contract.dataset,
        "owners": [contract.owner],
        "tags": {"taxi/dataset": contract.dataset, "taxi/layer": layer},
    }


def reference_attributes(name: str, owner: str) -> Attributes:
    """The attributes of an asset that has no months and belongs to no dataset."""
    return {
        "key": ["reference", name],
        "group_name": "reference",
        "owners": [owner],
        "tags": {"taxi/layer": "reference"},
    }


def column_lineage(layer: str, contract: TripContract, sources: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """Which columns of the layer before each column comes from; of very many the first, and how many more.

    Args:
        layer: The layer before.
        contract: The dataset's contract.
        sources: Column -> columns of the layer before.
    """
    before = dg.AssetKey([layer, contract.table])

    def named(found: Iterable[str]) -> list[str]:
        names = list(found)
        more = len(names) - MOST_NAMED
        return [*map(shown, names[:MOST_NAMED]), *([f"and {more:,} more"] if more > 0 else [])]

    deps = {name: [dg.TableColumnDep(before, source) for source in named(found)] for name, found in sources.items()}
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}


def table_metadata(contract: TableContract, columns: Iterable[Column]) -> dict[str, Any]:
    """Definition metadata of an asset that holds rows: its column schema and where its contract is documented."""
    return {
        "dagster/column_schema": dg.TableSchema([_shown_column(column) for column in columns]),
        "documentation": dg.MetadataValue.url(contract.documentation),
    }


def quarantine_metadata(contract: TripContract) -> dict[str, Any]:
    """Definition metadata of the rows turned away; what they hold may be missing whatever the contract requires."""

    def more(columns: Mapping[str, tuple[str, str]]) -> list[dg.TableColumn]:
        return [dg.TableColumn(name, kind, description) for name, (kind, description) in columns.items()]

    columns = [_shown_column(column.model_copy(update={"required": False})) for column in contract.stored_columns]
    return table_metadata(contract, ()) | {
        "dagster/column_schema": dg.TableSchema([*more(_BEFORE), *columns, *more(_AFTER)])
    }


def _shown_column(column: Column) -> dg.TableColumn:
    return dg.TableColumn(
        name=column.name,
        type=column.type.value,
        description=column.full_description,
        constraints=dg.TableColumnConstraints(nullable=not column.required),
    )


def raw_metadata(raw: RawFile, *, changed: bool, seconds: float) -> dict[str, Any]:
    """Materialization metadata of a raw file: what was published, and what arrived."""
    return {
        "dagster/partition_row_count": raw.rows,
        "source URL": shown(raw.publication.url, LONGEST_TEXT),
        "edition": raw.edition,
        "ETag": shown(raw.publication.etag or "none"),
        "last modified": shown(raw.publication.last_modified or "unknown"),
        "SHA-256": raw.sha256,
        "bytes": raw.bytes,
        "fetched at": raw.fetched_at,
        "fetched anew": changed,
        "seconds": round(seconds, 3),
    }


def rows_metadata(file: ParquetFile, seconds: float) -> dict[str, Any]:
    """Materialization metadata of a Parquet file: how much, and how fast."""
    return {
        "dagster/partition_row_count": file.rows,
        "bytes": file.bytes,
        "rows in": file.lineage.rows_in,
        "seconds": round(seconds, 3),
        "rows per second": round(file.lineage.rows_in / max(seconds, 1e-3)),
        "contract version": file.lineage.contract_version,
    }


def rules_metadata(month: CleanedMonth) -> dict[str, Any]:
    """How often each rule fired, as a table and as a plot."""
    fired = [count for count in month.counts if count.rejected or count.kept]
    return {
        "rules": dg.MetadataValue.md(_rules_table(month.counts, month.cleaned.lineage.rows_in)),
        "rows by rule": dg.MetadataValue.md(_rules_plot(fired) if fired else "No rule fired."),
        "columns the contract does not know": listed(month.cleaned.lineage.unknown_columns) or "none",
    }


def change_metadata(before: Lineage | None, now: Lineage) -> dict[str, Any]:
    """What is another than when the month was cleaned before: the first thing to look at when TLC has replaced it."""
    if before is None:
        return {"replaces": "nothing"}
    lines = ["| | before | now | change |", "|---|--:|--:|--:|"]
    for name, was, is_ in (
        ("rows in", before.rows_in, now.rows_in),
        ("cleaned", before.rows_cleaned, now.rows_cleaned),
        ("quarantined", before.rows_quarantined, now.rows_quarantined),
    ):
        lines.append(f"| {name} | {was:,} | {is_:,} | {is_ - was:+,} |")
    same = "the same file" if before.source_sha256 == now.source_sha256 else "another file than before"
    return {"replaces": before.summary, "change": dg.MetadataValue.md("\n".join([*lines, "", f"From {same}."]))}


def preview(file: ParquetFile) -> dg.TableMetadataValue:
    """The first ten rows of a file, every value as text and cut to what people read; in the file it is whole."""
    with engine.connect(file.path.with_suffix(".spill")) as con:
        columns = con.sql(f"FROM {engine.parquet(file.path)}").columns[:_PREVIEW_COLUMNS]
        cut = ", ".join(cut_in_sql(f"{engine.identifier(name)}::VARCHAR") for name in columns)
        values = con.execute(f"SELECT {cut} FROM {engine.parquet(file.path)} LIMIT {_PREVIEW_ROWS}").fetchall()
    names = list(map(shown, columns))
    records = [dg.TableRecord(dict(zip(names, (escaped(it or "") for it in row), strict=True))) for row in values]
    return dg.TableMetadataValue(records, dg.TableSchema([dg.TableColumn(name) for name in names]))


def _rules_table(counts: Sequence[RuleCount], rows_in: int) -> str:
    lines = ["| rule | action | rejected | kept | share of rows | what it means |", "|---|---|--:|--:|--:|---|"]
    for it in counts:
        share = (it.rejected + it.kept) / rows_in if rows_in else 0.0
        lines.append(
            f"| `{it.rule.name}` | {it.action} | {it.rejected:,} | {it.kept:,} | {share:.3%} | {it.rule.description} |"
        )
    return "\n".join(lines)


def _rules_plot(counts: Sequence[RuleCount]) -> str:
    """Horizontal bars as an SVG image inside Markdown: no plotting library, and sharp at any size."""
    height, left, width = 22, 190, 420
    longest = max(it.rejected + it.kept for it in counts)
    bars: list[str] = []
    for position, it in enumerate(counts):
        top, start = position * height, float(left)
        middle = top + height * 0.68
        bars.append(f'<text x="{left - 8}" y="{middle}" text-anchor="end">{escape(it.rule.name)}</text>')
        for part, colour in _COLOURS.items():
            count = getattr(it, part)
            length = max(2.0, width * count / longest) if count else 0.0  # however rare, it is seen
            bars.append(f'<rect x="{start}" y="{top + 4}" width="{length:.1f}" height="{height - 8}" fill="{colour}"/>')
            start += length
        bars.append(f'<text x="{start + 6:.1f}" y="{middle}">{it.rejected + it.kept:,}</text>')
    legend = len(counts) * height
    for position, (part, colour) in enumerate(_COLOURS.items()):
        x = left + 90 * position
        bars.append(f'<rect x="{x}" y="{legend + 6}" width="10" height="10" fill="{colour}"/>')
        bars.append(f'<text x="{x + 15}" y="{legend + 15}">{part}</text>')
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{legend + 24}" '
        f'font-family="sans-serif" font-size="12" fill="#777">{"".join(bars)}</svg>'
    )
    return f"![rows by rule](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
