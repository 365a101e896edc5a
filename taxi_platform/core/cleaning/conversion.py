"""SQL that turns a published value into a canonical one, and tells a value that is missing from one that is broken."""

from __future__ import annotations

from dataclasses import dataclass

from taxi_platform.core.catalog.model import Column, ColumnType, TripContract, normalized
from taxi_platform.core.cleaning.reading import RawField

#: Numbers of rows that other programs' exports put beside the data: no data of TLC's.
_INDEX_COLUMNS = {"__index_level_0__", "unnamed: 0"}


@dataclass(frozen=True)
class Conversion:
    """How one canonical column is made from a file's fields.

    Attributes:
        column: The canonical column.
        fields: The fields it is read from, the first that is filled wins; none if the file does not have it.
        value: SQL for the canonical value.
        is_broken: SQL that is true where a field is filled and does not convert.
    """

    column: Column
    fields: tuple[RawField, ...]
    value: str
    is_broken: str


def conversions(contract: TripContract, fields: tuple[RawField, ...]) -> tuple[Conversion, ...]:
    """One conversion per column of the contract, in its order."""
    return tuple(_conversion(column, fields) for column in contract.columns)


def unknown_fields(contract: TripContract, fields: tuple[RawField, ...]) -> tuple[RawField, ...]:
    """The fields no column of the contract is published as; index columns do not count."""
    known = {name for column in contract.columns for name in column.published_names} | _INDEX_COLUMNS
    leading_index = fields[:1] if fields and not fields[0].name.strip() else ()
    return tuple(field for field in fields if normalized(field.name) not in known and field not in leading_index)


def _conversion(column: Column, fields: tuple[RawField, ...]) -> Conversion:
    by_name = {normalized(field.name): field for field in reversed(fields)}
    found = tuple(by_name[name] for name in column.published_names if name in by_name)
    if not found:
        return Conversion(column, (), f"NULL::{column.type.duckdb}", "false")
    values = [_value(column.type, field) for field in found]
    # CASE looks at a field's text only where it gave no value: most rows are spared that.
    broken = [f"if({value} IS NULL, {_is_filled(field)}, false)" for value, field in zip(values, found, strict=True)]
    is_text = column.type is ColumnType.STRING
    return Conversion(
        column,
        found,
        values[0] if len(values) == 1 else f"coalesce({', '.join(values)})",
        "false" if is_text else " OR ".join(broken),
    )


def _value(kind: ColumnType, field: RawField) -> str:
    """SQL for one field's canonical value; null where it is empty or does not convert."""
    source = field.column
    if kind is ColumnType.STRING:
        return f"nullif(trim({source}::VARCHAR, ' \"'), '')"
    if field.type == '"NULL"':
        return f"NULL::{kind.duckdb}"
    if kind in (ColumnType.INT32, ColumnType.INT64):
        # A cast rounds: only a number that is whole counts as an integer ("1.0" is one, "1.5" is not).
        whole = f"try_cast({source} AS {kind.duckdb})"
        return whole if "INT" in field.type else f"if({whole} = try_cast({source} AS DOUBLE), {whole}, NULL)"
    if kind is ColumnType.FLOAT64:
        number = f"try_cast({source} AS DOUBLE)"
        return f"if(isfinite({number}), {number}, NULL)"
    return f"try_cast({source} AS {kind.duckdb})"


def _is_filled(field: RawField) -> str:
    if field.type == "VARCHAR":
        return f"coalesce(trim({field.column}) <> '', false)"
    if field.type in ("DOUBLE", "FLOAT"):
        return f"{field.column} IS NOT NULL AND NOT isnan({field.column})"  # pandas writes a missing number as NaN
    return f"{field.column} IS NOT NULL"
