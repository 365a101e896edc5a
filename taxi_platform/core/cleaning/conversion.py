"""SQL that turns a published value into a canonical one, and tells a value that is missing from one that is broken.

Which texts are a value is one grammar for every edition and reader (`core/catalog/grammar.py`).

It comes in layers, each a SELECT over the one before, so that a field is cast once however often it is asked for:

    fields --(casts)--> f0_integer, f0_double, … --(parts)--> f0_as_vendor_id, … --(value)--> vendor_id, …
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from taxi_platform.core.catalog.grammar import GRAMMAR
from taxi_platform.core.catalog.model import Column, ColumnType, TripContract, is_index, normalized
from taxi_platform.core.cleaning.fields import RawField
from taxi_platform.core.cleaning.parquet_reading import UTC
from taxi_platform.core.engine import literal

#: What `extra_columns` is where a file has no field that might go there.
NO_EXTRA = "NULL::VARCHAR"

_FLOATS = ("DOUBLE", "FLOAT")
#: What DuckDB writes of floats within a nested value, and JSON has no word for.
_NO_JSON = r"[:,\[](NaN|-?Inf)"
_WHOLE_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_INTEGERS = (*_WHOLE_NUMBERS, *(f"U{it}" for it in _WHOLE_NUMBERS))
_TIMES = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE")
_INSTANTS = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
#: The years a time may have: what reads our files knows no others, and TLC's reach from 2001 to 3019.
_FIRST_TIME, _LAST_TIME = "0001-01-01", "9999-12-31 23:59:59.999999"
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


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


def is_plain_text(field: RawField) -> bool:
    """Whether a field's values are text, or numbers, of which there is one way to write them."""
    return field.type in ("VARCHAR", '"NULL"', *_INTEGERS, *_FLOATS)


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
    is_known = {field.column for field in fields} - {field.column for field in unknown}
    for field in fields:
        if field.column in is_known and (is_index(field.name) or not field.name.strip()):
            entries[field.label] = (
                f"if(try_cast({field.column} AS BIGINT) IS NULL, {_text_as_json(_filled_text(field))}, NULL)"
            )
    for conversion in conversions(contract, fields):
        if with_broken and conversion.is_broken != "false":
            for field in conversion.fields:
                entries[field.label] = f"if({conversion.is_broken}, {_text_as_json(f'{field.column}::VARCHAR')}, NULL)"
        for place, field in enumerate(conversion.fields[1:], start=1):
            winner = f"coalesce({', '.join(map(_filled_text, conversion.fields[:place]))})"
            text = _text_as_json(f"{field.column}::VARCHAR")
            entries[field.label] = f"if({_filled_text(field)} <> {winner}, {text}, NULL)"
    if not entries:
        return NO_EXTRA
    # `||` makes nothing of a name whose value is null, and `concat_ws` passes over it: what is within a value stays.
    members = ", ".join(
        f"{literal(json.dumps(label, ensure_ascii=False) + ':')} || {it}" for label, it in entries.items()
    )
    return f"nullif('{{' || concat_ws(',', {members}) || '}}', '{{}}')"


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


def _text_as_json(text: str) -> str:
    return f"to_json({text})::VARCHAR"


def _as_json(field: RawField) -> str:
    """SQL for the value of an unknown field as JSON text, to the last digit; null where there is none."""
    value = field.column
    if field.type == "VARCHAR":
        return _text_as_json(f"nullif({value}, '')")
    if field.type == '"NULL"':
        return "NULL::VARCHAR"
    if field.type.startswith("DECIMAL"):
        return f"{value}::VARCHAR"
    told = f"to_json({value})::VARCHAR"
    if field.type in _FLOATS:  # JSON has no word for NaN, by which pandas means a missing number, nor for infinity
        return f"if(isfinite({value}), {told}, if(isnan({value}), NULL, {_text_as_json(f'{value}::VARCHAR')}))"
    if any(kind in field.type for kind in _FLOATS):  # nor has it within a nested value
        without = re.sub(r"\b(DOUBLE|FLOAT)\b", "VARCHAR", field.type)
        told = f"if(regexp_matches({told}, '{_NO_JSON}'), to_json({value}::{without})::VARCHAR, {told})"
    return f"if({value} IS NULL, NULL, {told})"


def _filled_text(field: RawField) -> str:
    text = f"nullif(trim({field.column}::VARCHAR, ' \t'), '')"
    return f"if(isnan({field.column}), NULL, {text})" if field.type in _FLOATS else text


def _words(field: RawField) -> tuple[dict[str, str], str]:
    """SQL for what a field of codes says, where that is no number; and the casts it goes by."""
    if field.type != "VARCHAR":
        return {}, "NULL::VARCHAR"
    # What DuckDB takes for a number is no word, be it one to us or not.
    casts, double = _cast(replace(field, is_tidy=True), "DOUBLE")
    if not field.is_tidy:
        casts, double = {f"{field.column}_any": casts[double]}, f"{field.column}_any"
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
    is_framed = f"contains({text}, ' ') OR contains({text}, '\"') OR contains({text}, '\t')"
    return f"nullif(if({is_framed}, trim({text}, ' \t\"'), {text}), '')"


def _cast(field: RawField, kind: str) -> tuple[dict[str, str], str]:
    """A cast of a field to a number, and its name."""
    alias, source = f"{field.column}_{kind.lower()}", field.column
    cast = f"try_cast({source} AS {kind})"
    if field.type == "VARCHAR" and not field.is_tidy:
        cast = f"if(regexp_full_match({source}, '{GRAMMAR['number'][1]}'), {cast}, NULL)"
    return {alias: cast}, alias


def _part(kind: ColumnType, field: RawField) -> tuple[dict[str, str], str]:
    """SQL for one field's canonical value, null where it is empty or does not convert; and the casts it goes by."""
    if kind is ColumnType.STRING:
        return {}, _text(field)
    if kind in (ColumnType.TIMESTAMP, ColumnType.DATE):
        return _time(kind, field)
    if not (field.type in ("VARCHAR", *_INTEGERS, *_FLOATS) or field.type.startswith("DECIMAL")):
        return {}, f"NULL::{kind.duckdb}"  # no number: what is filled is broken
    casts, value = _cast(field, kind.duckdb)
    if kind is ColumnType.FLOAT64:
        return casts, f"if(isfinite({value}), {value}, NULL)"
    if field.type in _INTEGERS:
        return casts, value
    # A cast rounds: only a number that is whole counts as an integer ("1.0" is one, "1.5" is not).
    doubles, double = _cast(field, "DOUBLE")
    return casts | doubles, f"if({value} = {double}, {value}, NULL)"


def _time(kind: ColumnType, field: RawField) -> tuple[dict[str, str], str]:
    alias, source = f"{field.column}_{kind.duckdb.lower()}", field.column
    if field.type == "VARCHAR":
        usual = f"try_strptime({source}, '%Y-%m-%d %H:%M:%S')"
        # It takes two digits for a year too, and "infinity" for 1900-01-01; a cast passes over what follows a time.
        other = f"if(regexp_full_match({source}, '{GRAMMAR['time'][1]}'), try_cast(trim({source}) AS TIMESTAMP), NULL)"
        time = f"CASE WHEN {usual} > TIMESTAMP '1900-01-01' THEN {usual} ELSE {other} END"
    elif field.type in _INSTANTS:
        time = _wall_clock(f"{source}::TIMESTAMPTZ", field.zone)
    elif field.type in _TIMES:
        time = f"try_cast({source} AS TIMESTAMP)"
        if field.zone:  # times of 96 bits, which are instants without a word
            time = _wall_clock(f"({time} AT TIME ZONE 'UTC')", field.zone)
    else:
        return {}, f"NULL::{kind.duckdb}"  # no time: what is filled is broken
    value = f"if({alias} BETWEEN TIMESTAMP '{_FIRST_TIME}' AND TIMESTAMP '{_LAST_TIME}', {alias}, NULL)"
    return {alias: time}, value if kind is ColumnType.TIMESTAMP else f"({value})::DATE"


def _wall_clock(instant: str, zone: str) -> str:
    """SQL for what a clock in a zone shows at an instant; TLC's columns are the wall clock of New York."""
    if (offset := _OFFSET.fullmatch(zone)) is not None:
        sign, hours, minutes = offset.groups()
        return f"({instant} AT TIME ZONE 'UTC' {sign} INTERVAL '{hours} hours {minutes} minutes')"
    return f"({instant} AT TIME ZONE {literal(zone or UTC)})"


def _is_filled(field: RawField) -> str:
    if field.type == "VARCHAR":
        return f"coalesce(trim({field.column}, ' \t') <> '', false)"
    if field.type in _FLOATS:
        return f"{field.column} IS NOT NULL AND NOT isnan({field.column})"  # pandas writes a missing number as NaN
    return f"{field.column} IS NOT NULL"
