"""What a mart's query is to a warehouse: its `trips` and `zones` are the warehouse's tables, its words the dialect's.

sqlglot reads and writes the SQL; names are quoted and values written by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import SOURCE_MONTH, Column, TableContract, TripContract
from taxi_platform.core.errors import ContractError
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse import Warehouse
from taxi_platform.marts import DIALECT, TRIPS, ZONES, Mart

_DATASET = "dataset"


def select_of(mart: Mart) -> exp.Select:
    """A mart's query, to be read and built upon; a new one each time.

    Raises:
        ContractError: It is no SELECT, or its header tells of something else.
    """
    try:
        tree = sqlglot.parse_one(mart.query, dialect=DIALECT)
    except SqlglotError as error:
        raise ContractError(f"not a valid mart: {error}", where=f"{mart.name}.sql") from error
    columns = [it.name for it in mart.columns]
    if not isinstance(tree, exp.Select) or tree.named_selects != columns:
        gives = ", ".join(tree.named_selects) if isinstance(tree, exp.Select) else "no rows"
        raise ContractError(
            f"the query gives {gives}, and its header tells of {', '.join(columns)}", where=f"{mart.name}.sql"
        )
    if unknown := {*mart.grain, *mart.conserved, SOURCE_MONTH, _DATASET} - {*columns}:
        raise ContractError(f"there is no column {', '.join(sorted(unknown))}", where=f"{mart.name}.sql")
    return tree


def query_of(mart: Mart, catalog: Catalog, warehouse: Warehouse, month: Month) -> str:
    """The query that gives a mart's rows of a month, as the warehouse takes it."""
    return _in_words_of(warehouse, _reading(select_of(mart), mart, catalog, warehouse, month))


def conserved_query(mart: Mart, catalog: Catalog, warehouse: Warehouse, month: Month) -> str:
    """The query for what a mart has to add up to: per dataset, `Mart.conserved` of the trips, and of the mart.

    Its columns are `dataset`, then per conserved column the trips' own figure and that of the mart.
    """
    figures = [sqlglot.parse_one(text, dialect=DIALECT).as_(name) for name, text in mart.conserved.items()]
    of_trips = exp.select(_DATASET, *figures).from_(TRIPS).group_by(_DATASET)
    sums = [exp.func("sum", exp.column(name)).as_(name) for name in mart.conserved]
    table = _table(warehouse, mart)
    of_mart = exp.select(_DATASET, *sums).from_(table).where(_is_of(month)).group_by(_DATASET)
    pairs = [
        exp.column(name, table=side).as_(f"{name}_{side}") for name in mart.conserved for side in ("wanted", "found")
    ]
    names = exp.func("coalesce", exp.column(_DATASET, table="wanted"), exp.column(_DATASET, table="found"))
    both = (
        exp.select(names.as_(_DATASET), *pairs)
        .from_(of_trips.subquery("wanted"))
        .join(of_mart.subquery("found"), on="wanted.dataset = found.dataset", join_type="full outer")
    )
    return _in_words_of(warehouse, _reading(both, mart, catalog, warehouse, month))


def summed_query(mart: Mart, column: str, by: str, warehouse: Warehouse, month: Month) -> str:
    """The query for a column of a mart's month added up: its columns are `dataset`, `by`, and the sum."""
    names, total = dict.fromkeys([_DATASET, by]), exp.func("sum", exp.column(column)).as_(column)
    query = exp.select(*names, total).from_(_table(warehouse, mart)).where(_is_of(month)).group_by(*names)
    return _in_words_of(warehouse, query)


def column_sources(mart: Mart, catalog: Catalog) -> dict[str, list[tuple[str, str]]]:
    """What each column of a mart is made of: (table, column) pairs, as its query says."""
    contracts = mart.datasets(catalog)
    schema = {
        TRIPS: {_DATASET: "VARCHAR", SOURCE_MONTH: "DATE", **{it.name: it.type.duckdb for it in _all_columns(catalog)}},
        ZONES: {it.name: it.type.duckdb for it in catalog.zones.columns},
    }
    found: dict[str, list[tuple[str, str]]] = {}
    for column in mart.columns:
        nodes = lineage(column.name, mart.query, schema=schema, dialect=DIALECT).walk()
        leaves = [it for it in nodes if not it.downstream and isinstance(it.source, exp.Table)]
        read = {(it.source.name, it.name.rpartition(".")[2]) for it in leaves}
        found[column.name] = sorted(
            (table, name)
            for source, name in read
            for table, columns in (
                [(catalog.zones.table, catalog.zones.columns)]
                if source == ZONES
                else [(it.table, it.table_columns) for it in contracts]
            )
            if name in {it.name for it in columns}
        )
    return found


def unlike(rows: Sequence[Mapping[str, object]], mart: Mart) -> Iterator[str]:
    """What `conserved_query` gave that is not equal, in words; sums of the same numbers differ in their last digits."""
    for row in rows:
        for name in mart.conserved:
            wanted, found = (row[f"{name}_{side}"] for side in ("wanted", "found"))
            if not _is_near(wanted, found):
                yield f"{row[_DATASET]}: {name} is {found} in the mart and {wanted} in the table"


def _reading(query: exp.Select, mart: Mart, catalog: Catalog, warehouse: Warehouse, month: Month) -> exp.Select:
    """The query, with what it reads before it."""
    used = {it.name for it in query.find_all(exp.Column)}
    columns = [it for it in _all_columns(catalog) if it.name in used]
    there = [(it, warehouse.columns_of(it)) for it in mart.datasets(catalog)]
    parts = [_rows(warehouse, contract, names, columns, month) for contract, names in there if names]
    if not parts:
        parts = [_no_rows(columns)]
    query = query.with_(TRIPS, as_=exp.union(*parts, distinct=False) if len(parts) > 1 else parts[0])
    if any(it.name == ZONES for it in query.find_all(exp.Table)):
        query = query.with_(ZONES, as_=_zones(catalog, warehouse))
    return query


def _rows(
    warehouse: Warehouse, contract: TripContract, there: frozenset[str], columns: Sequence[Column], month: Month
) -> exp.Select:
    """A dataset's rows of a month in those columns, null where its table has none."""
    own = {it.name for it in contract.columns} & there
    picked = [exp.column(it.name) if it.name in own else _null(it).as_(it.name) for it in columns]
    name = exp.Literal.string(contract.dataset).as_(_DATASET)
    return exp.select(name, SOURCE_MONTH, *picked).from_(_table(warehouse, contract)).where(_is_of(month))


def _no_rows(columns: Sequence[Column]) -> exp.Select:
    """What no dataset gives: no rows, in those columns."""
    picked = [_null(it).as_(it.name) for it in columns]
    month = exp.cast(exp.Null(), "date").as_(SOURCE_MONTH)
    return exp.select(exp.cast(exp.Null(), "text").as_(_DATASET), month, *picked).where(exp.false())


def _zones(catalog: Catalog, warehouse: Warehouse) -> exp.Select:
    """The zone lookup, a row for each id whatever its table holds."""
    key, *others = (it.name for it in catalog.zones.columns)
    picked = [exp.func("min", exp.column(it)).as_(it) for it in others]
    if not warehouse.columns_of(catalog.zones):
        return exp.select(*(_null(it).as_(it.name) for it in catalog.zones.columns)).where(exp.false())
    return exp.select(key, *picked).from_(_table(warehouse, catalog.zones)).group_by(key)


def _table(warehouse: Warehouse, contract: TableContract) -> exp.Table:
    return exp.to_table(warehouse.table_name(contract), dialect=warehouse.dialect)


def _is_of(month: Month) -> exp.Expr:
    return exp.column(SOURCE_MONTH).eq(exp.cast(exp.Literal.string(str(month.first_day)), "date"))


def _null(column: Column) -> exp.Cast:
    return exp.cast(exp.Null(), column.type.duckdb, dialect=DIALECT)


def _all_columns(catalog: Catalog) -> list[Column]:
    """Every column of any dataset; of those that several have, the first."""
    found: dict[str, Column] = {}
    for contract in catalog.trips.values():
        for column in contract.columns:
            found.setdefault(column.name, column)
    return list(found.values())


def _in_words_of(warehouse: Warehouse, query: exp.Expr) -> str:
    words = query.transform(_of_times) if warehouse.dialect == "bigquery" else query
    return words.sql(dialect=warehouse.dialect, identify=True, comments=False)


def _of_times(node: exp.Expr) -> exp.Expr:
    """BigQuery's DATE_DIFF is for days and more; seconds between two DATETIMEs are DATETIME_DIFF's.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/datetime_functions#datetime_diff
    """
    if isinstance(node, exp.DateDiff) and node.text("unit").upper() == "SECOND":
        return exp.DatetimeDiff(this=node.this, expression=node.expression, unit=node.args["unit"])
    return node


def _is_near(one: object, other: object) -> bool:
    if one is None or other is None:
        return one is other
    a, b = float(str(one)), float(str(other))
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) or (a != a and b != b)
