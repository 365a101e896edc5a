"""SQL that turns a published value into a canonical one, and tells a value that is missing from one that is broken.

It comes in layers, each a SELECT over the one before, so that a field is cast once however often it is asked for:

    fields --(casts)--> f0_integer, f0_double, … --(parts)--> f0_as_vendor_id, … --(value)--> vendor_id, …
"""

from __future__ import annotations

from dataclasses import dataclass

from taxi_platform.core.catalog.model import Column, ColumnType, TripContract, is_index, normalized
from taxi_platform.core.cleaning.reading import RawField
from taxi_platform.core.engine import identifier, literal

#: What `extra_columns` is where a file has no field that might go there.
NO_EXTRA = "NULL::VARCHAR"

_FLOATS = ("DOUBLE", "FLOAT")

_TIME = r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?"


@dataclass(frozen=True)
class Conversion:
    """How one canonical column is made from a file's fields.

    Attributes:
        column: The canonical column.
        fields: The fields it is read from, the first that is filled wins; none if the file does not have it.
        casts: SQL over the fields, by the name it goes by in the next layer. Conversions may share some.
        parts: SQL over the casts, by name: what each field gives.
        value: SQL over the parts: the canonical value.
        is_broken: SQL over all of these that is true where a field is filled and does not convert.
    """

    column: Column
    fields: tuple[RawField, ...]
    casts: dict[str, str]
    parts: dict[str, str]
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
        return NO_EXTRA
    values = ", ".join(f"{identifier(label)}: {value}" for label, value in entries.items())
    # A merge patch drops what is null.
    return f"nullif(json_merge_patch('{{}}', to_json({{{values}}}))::VARCHAR, '{{}}')"


def _conversion(contract: TripContract, column: Column, fields: tuple[RawField, ...]) -> Conversion:
    published_as = contract.column(column.text_of) if column.text_of else column
    found = tuple(field for name in published_as.published_names for field in fields if normalized(field.name) == name)
    if not found:
        return Conversion(column, (), {}, {}, f"NULL::{column.type.duckdb}", "false")
    read = [_words(field) if column.text_of else _part(column.type, field) for field in found]
    casts = {alias: cast for it, _ in read for alias, cast in it.items()}
    parts = {f"{field.column}_as_{column.name}": part for field, (_, part) in zip(found, read, strict=True)}
    values = list(parts)
    void = [f"{part} IS NULL" for part in parts]
    if column.texts:
        # A word the contract does not know is not broken: the column that is text_of this one keeps it.
        words = [_words(field) for field in found]
        casts |= {alias: cast for it, _ in words for alias, cast in it.items()}
        void = [f"{gave_none} AND {word} IS NULL" for gave_none, (_, word) in zip(void, words, strict=True)]
        values += [_code(column, field) for field in found]
    # `if` looks at a field's text only where it gave nothing: most rows are spared that.
    broken = [f"if({it}, {_is_filled(field)}, false)" for it, field in zip(void, found, strict=True)]
    is_text = column.type is ColumnType.STRING
    return Conversion(
        column,
        found,
        casts,
        parts,
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


def _words(field: RawField) -> tuple[dict[str, str], str]:
    """SQL for what a field of codes says, where that is no number; and the casts it goes by."""
    if field.type != "VARCHAR":
        return {}, "NULL::VARCHAR"
    casts, double = _cast(field, "DOUBLE")
    return casts, f"if({double} IS NULL, {_text(field)}, NULL)"


def _code(column: Column, field: RawField) -> str:
    """SQL for the code a word stands for."""
    codes = {text: "NULL" if code is None else code for text, code in column.texts.items()}
    cases = " ".join(f"WHEN {literal(text.lower())} THEN {code}" for text, code in codes.items())
    return f"CASE lower({_text(field)}) {cases} END"


def _text(field: RawField) -> str:
    """SQL for a field as text without the spaces and quotes around it; null where nothing is left."""
    source = field.column
    if field.type in _FLOATS:
        # Flags that arrive as floating-point numbers are whole: 1.0 is the code 1. NaN is how pandas says nothing.
        is_whole = f"{source} = floor({source}) AND abs({source}) < 1e15"
        return f"if({is_whole}, {source}::BIGINT::VARCHAR, nullif({source}::VARCHAR, 'nan'))"
    text = source if field.type == "VARCHAR" else f"{source}::VARCHAR"
    # Looking for what might be trimmed costs a third of trimming.
    is_framed = f"contains({text}, ' ') OR contains({text}, '\"')"
    return f"nullif(if({is_framed}, trim({text}, ' \"'), {text}), '')"


def _cast(field: RawField, kind: str) -> tuple[dict[str, str], str]:
    """A cast of a field, and its name."""
    alias = f"{field.column}_{kind.lower()}"
    return {alias: f"try_cast({field.column} AS {kind})"}, alias


def _part(kind: ColumnType, field: RawField) -> tuple[dict[str, str], str]:
    """SQL for one field's canonical value, null where it is empty or does not convert; and the casts it goes by."""
    source = field.column
    if kind is ColumnType.STRING:
        return {}, _text(field)
    if field.type == '"NULL"':
        return {}, f"NULL::{kind.duckdb}"
    casts, value = _cast(field, kind.duckdb)
    if kind in (ColumnType.INT32, ColumnType.INT64):
        if "INT" in field.type:
            return casts, value
        # A cast rounds: only a number that is whole counts as an integer ("1.0" is one, "1.5" is not).
        doubles, double = _cast(field, "DOUBLE")
        return casts | doubles, f"if({value} = {double}, {value}, NULL)"
    if kind is ColumnType.FLOAT64:
        return casts, f"if(isfinite({value}), {value}, NULL)"
    if field.type == "VARCHAR":
        # A cast passes over what follows a time, be it PM or a zone: only a time and nothing else counts as one.
        usual, time = f"{source} LIKE '____-__-__ __:__:__'", casts[value]
        casts = {value: f"if({usual}, {time}, if(regexp_full_match(trim({source}), '{_TIME}'), {time}, NULL))"}
    # DuckDB knows years up to 294247 and two infinities; nothing that reads our files does.
    return casts, f"if({value} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999', {value}, NULL)"


def _is_filled(field: RawField) -> str:
    if field.type == "VARCHAR":
        return f"coalesce(trim({field.column}) <> '', false)"
    if field.type in _FLOATS:
        return f"{field.column} IS NOT NULL AND NOT isnan({field.column})"  # pandas writes a missing number as NaN
    return f"{field.column} IS NOT NULL"
