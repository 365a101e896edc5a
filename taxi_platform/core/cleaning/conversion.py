"""SQL that turns a published value into a canonical one, and tells a value that is missing from one that is broken."""

from __future__ import annotations

from dataclasses import dataclass

from taxi_platform.core.catalog.model import Column, ColumnType, TripContract, is_index, normalized
from taxi_platform.core.cleaning.reading import RawField
from taxi_platform.core.engine import identifier, literal

_FLOATS = ("DOUBLE", "FLOAT")

_TIME = r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?"


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
    return tuple(_conversion(contract, column, fields) for column in contract.columns)


def unknown_fields(contract: TripContract, fields: tuple[RawField, ...]) -> tuple[RawField, ...]:
    """The fields no column of the contract is published as; index columns do not count."""
    known = {name for column in contract.columns for name in column.published_names}
    leading_index = fields[:1] if fields and not fields[0].name.strip() else ()
    return tuple(
        field
        for field in fields
        if normalized(field.name) not in known and not is_index(field.name) and field not in leading_index
    )


def extra_columns(contract: TripContract, fields: tuple[RawField, ...], *, with_broken: bool) -> str:
    """SQL for the values no canonical column holds, as a JSON object by published name; null where there are none.

    They are the fields the contract does not know; an index column that holds more than numbers; and a second field of
    a column that says something else than the first, as the base number of 2018 might, which stands under two names.

    Args:
        contract: The dataset's contract.
        fields: The file's fields.
        with_broken: Whether values that do not convert are among them: where their rows are kept, they would be lost.
    """
    unknown = unknown_fields(contract, fields)
    entries = {field.label: _as_json(field) for field in unknown}
    for field in fields:
        if field not in unknown and (is_index(field.name) or not field.name.strip()):
            entries[field.label] = f"if(try_cast({field.column} AS BIGINT) IS NULL, {_filled_text(field)}, NULL)"
    for conversion in conversions(contract, fields):
        if with_broken and conversion.is_broken != "false":
            for field in conversion.fields:
                entries[field.label] = f"if({conversion.is_broken}, {field.column}::VARCHAR, NULL)"
        for place, field in enumerate(conversion.fields[1:], start=1):
            winner = f"coalesce({', '.join(map(_filled_text, conversion.fields[:place]))})"
            entries[field.label] = f"if({_filled_text(field)} <> {winner}, {field.column}::VARCHAR, NULL)"
    if not entries:
        return "NULL::VARCHAR"
    values = ", ".join(f"{identifier(label)}: {value}" for label, value in entries.items())
    # A merge patch drops what is null.
    return f"nullif(json_merge_patch('{{}}', to_json({{{values}}}))::VARCHAR, '{{}}')"


def _conversion(contract: TripContract, column: Column, fields: tuple[RawField, ...]) -> Conversion:
    published_as = contract.column(column.text_of) if column.text_of else column
    found = tuple(field for name in published_as.published_names for field in fields if normalized(field.name) == name)
    if not found:
        return Conversion(column, (), f"NULL::{column.type.duckdb}", "false")
    if column.text_of:
        return Conversion(column, found, f"coalesce({', '.join(map(_words, found))})", "false")
    values = [_value(column.type, field) for field in found]
    void = [f"{value} IS NULL" for value in values]
    if column.texts:
        # A word the contract does not know is not broken: the column that is text_of this one keeps it.
        void = [f"{gave_none} AND {_words(field)} IS NULL" for gave_none, field in zip(void, found, strict=True)]
        values += [_code(column, field) for field in found]
    # `if` looks at a field's text only where it gave nothing: most rows are spared that.
    broken = [f"if({it}, {_is_filled(field)}, false)" for it, field in zip(void, found, strict=True)]
    is_text = column.type is ColumnType.STRING
    return Conversion(
        column,
        found,
        values[0] if len(values) == 1 else f"coalesce({', '.join(values)})",
        "false" if is_text else " OR ".join(broken),
    )


def _as_json(field: RawField) -> str:
    """SQL for the value of an unknown field, as `to_json` takes it."""
    if field.type == "VARCHAR":
        return f"nullif({field.column}, '')"
    if field.type in _FLOATS:  # JSON has no word for NaN, by which pandas means a missing number, nor for infinity
        number = field.column
        return f"if(isfinite({number}), to_json({number}), if(isnan({number}), NULL, to_json({number}::VARCHAR)))"
    return field.column


def _filled_text(field: RawField) -> str:
    return f"nullif(trim({field.column}::VARCHAR), '')"


def _words(field: RawField) -> str:
    """SQL for what a field of codes says, where that is no number."""
    if field.type != "VARCHAR":
        return "NULL::VARCHAR"
    return f"if(try_cast({field.column} AS DOUBLE) IS NULL, {_value(ColumnType.STRING, field)}, NULL)"


def _code(column: Column, field: RawField) -> str:
    """SQL for the code a word stands for."""
    codes = {text: "NULL" if code is None else code for text, code in column.texts.items()}
    cases = " ".join(f"WHEN {literal(text.lower())} THEN {code}" for text, code in codes.items())
    return f"CASE lower({_value(ColumnType.STRING, field)}) {cases} END"


def _value(kind: ColumnType, field: RawField) -> str:
    """SQL for one field's canonical value; null where it is empty or does not convert."""
    source = field.column
    if kind is ColumnType.STRING:
        # Flags that arrive as floating-point numbers are whole: 1.0 is the code 1.
        text = f"if({source} = floor({source}), {source}::BIGINT::VARCHAR, {source}::VARCHAR)"
        return f"nullif(trim({text if field.type in _FLOATS else f'{source}::VARCHAR'}, ' \"'), '')"
    if field.type == '"NULL"':
        return f"NULL::{kind.duckdb}"
    if kind in (ColumnType.INT32, ColumnType.INT64):
        # A cast rounds: only a number that is whole counts as an integer ("1.0" is one, "1.5" is not).
        whole = f"try_cast({source} AS {kind.duckdb})"
        return whole if "INT" in field.type else f"if({whole} = try_cast({source} AS DOUBLE), {whole}, NULL)"
    if kind is ColumnType.FLOAT64:
        number = f"try_cast({source} AS DOUBLE)"
        return f"if(isfinite({number}), {number}, NULL)"
    time = f"try_cast({source} AS {kind.duckdb})"
    if field.type == "VARCHAR":
        # A cast passes over what follows a time, be it PM or a zone: only a time and nothing else counts as one.
        usual = f"{source} LIKE '____-__-__ __:__:__'"
        time = f"if({usual}, {time}, if(regexp_full_match(trim({source}), '{_TIME}'), {time}, NULL))"
    # DuckDB knows years up to 294247 and two infinities; nothing that reads our files does.
    return f"if({time} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999', {time}, NULL)"


def _is_filled(field: RawField) -> str:
    if field.type == "VARCHAR":
        return f"coalesce(trim({field.column}) <> '', false)"
    if field.type in _FLOATS:
        return f"{field.column} IS NOT NULL AND NOT isnan({field.column})"  # pandas writes a missing number as NaN
    return f"{field.column} IS NOT NULL"
