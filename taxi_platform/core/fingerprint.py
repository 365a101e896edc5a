"""One figure for the content of a month, whatever the order of its rows: docs/fingerprint.md defines it.

Each store works it out from its own rows, in its own SQL. Nothing that stores print differently takes part: a double
is told by whole numbers that it is made of exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import Column, ColumnType
from taxi_platform.core.parquet import ParquetFile

#: What a double that is money or a distance is told in: millionths of one.
_MILLION = 10**6
#: Up to here, ten to the ninth, millionths are whole numbers that a double holds.
_PLAIN = 10**9
#: A double of other digits is brought by a power of this, 2 to the 128th, between 2 to the -66th and 2 to the 62nd.
_BAND, _TOP = 128, 62
#: The powers: from the smallest double, 2 to the -1074th, to the largest.
_BANDS = range(-8, 9)
#: The MD5 of a row is two words of this many hexadecimal digits; the last two digits take no part.
_DIGITS = 15


@dataclass(frozen=True)
class Words:
    """What one store calls the parts of the definition; each takes and gives SQL.

    Attributes:
        double: Its type of eight-byte floating-point numbers.
        whole: A double without fraction, as text of a whole number.
        text: A value of a whole-numbered column as text.
        octets: A text's length in bytes of UTF-8, as text.
        microseconds: A time or day as text, since 1970.
        digest: A row's text as the hexadecimal MD5 of its UTF-8.
        total: From hexadecimal digits to the sum of the numbers they are, in a type that does not overflow.
        quote: A column's name.
        fence: What keeps the digest from being worked out once per word.
    """

    double: str
    whole: Callable[[str], str]
    text: Callable[[str], str]
    octets: Callable[[str], str]
    microseconds: Callable[[str, ColumnType], str]
    digest: Callable[[str], str]
    total: Callable[[str], str]
    quote: Callable[[str], str] = str
    fence: str = ""


def make_fingerprint(
    ask: Callable[[str], Iterable[int | Decimal | None]],
    columns: Iterable[Column],
    there: Container[str],
    rows: str,
    words: Words,
) -> str:
    """The fingerprint of rows, 30 hexadecimal digits.

    The first query knows no double beyond the middle band and counts them; only where there are any, a second one tells
    them too: its text is a hundred times as long, and planning it costs more than most months take.

    Args:
        ask: Runs a query and gives its one row.
        columns: The contract's, in its order.
        there: The columns that the rows have; a column that is not among them is null.
        rows: A `FROM` clause, with its condition.
        words: The store's.
    """
    columns = tuple(columns)
    first, second, beyond = ask(_query(columns, there, rows, words, range(1)))
    if beyond:
        first, second, _ = ask(_query(columns, there, rows, words, _BANDS))
    return "".join(f"{int(it or 0) % 16**_DIGITS:0{_DIGITS}x}" for it in (first, second))


def _query(columns: Iterable[Column], there: Container[str], rows: str, words: Words, bands: range) -> str:
    held = [column for column in columns if column.name in there]
    parts = [_value(it, words, bands) if it in held else "'~'" for it in columns]
    doubles = [words.quote(it.name) for it in held if it.type is ColumnType.FLOAT64]
    beyond = " OR ".join(_is_beyond(name, words) for name in doubles) or "1 = 0"
    sums = (words.total(f"substr(digest, {first}, {_DIGITS})") for first in (1, 1 + _DIGITS))
    row = words.digest(f"concat({', '.join(parts)})")
    inner = f"SELECT {row} AS digest, CASE WHEN {beyond} THEN 1 ELSE 0 END AS beyond {rows} {words.fence}"
    return f"SELECT {', '.join(sums)}, sum(beyond) FROM ({inner}) AS digests"


def _is_beyond(name: str, words: Words) -> str:
    top, bottom, largest = (
        f"CAST('{it}' AS {words.double})" for it in (2.0**_TOP, 2.0 ** (_TOP - _BAND), 1.7976931348623157e308)
    )
    return f"(abs({name}) >= {top} AND abs({name}) <= {largest}) OR (abs({name}) < {bottom} AND {name} <> 0)"


def fingerprint_file(file: ParquetFile, columns: tuple[Column, ...], spill_to: Path) -> str:
    """The fingerprint of a Parquet file; columns that it does not have are null."""
    rows = f"FROM {engine.parquet(file.path)}"
    with engine.connect(spill_to) as con:
        return make_fingerprint(lambda it: con.execute(it).fetchall()[0], columns, file.schema.names, rows, DUCKDB)


def _value(column: Column, words: Words, bands: range) -> str:
    name = words.quote(column.name)
    match column.type:
        case ColumnType.STRING:
            told = f"concat({words.octets(name)}, ':', {name})"
        case ColumnType.FLOAT64:
            told = _double(name, words, bands)
        case ColumnType.TIMESTAMP | ColumnType.DATE:
            told = f"concat({words.microseconds(name, column.type)}, ';')"
        case _:
            told = f"concat({words.text(name)}, ';')"
    return f"CASE WHEN {name} IS NULL THEN '~' ELSE {told} END"


def _double(name: str, words: Words, bands: range) -> str:
    """A double's value: in millionths if that is all of it, else in three whole numbers and a power of two."""

    def number(value: str | float) -> str:
        return f"CAST('{value}' AS {words.double})"

    def banded(power: int) -> str:
        half = number(2.0 ** (-_BAND * power // 2))  # twice: the whole factor may be too large for a double
        return _exact(f"({name} * {half} * {half})", power, words)

    million = number(_MILLION)
    millionths = f"round({name} * {million})"
    tell = f"CASE WHEN {millionths} / {million} = {name} THEN concat({words.whole(millionths)}, ';') ELSE {{}} END"
    *lower, highest = bands
    # Of the middle band alone, a larger value is told anyhow: the query is asked again. Its whole part fits no integer.
    largest = 1.7976931348623157e308 if lower else math.nextafter(2.0**_TOP, 0)
    exact = "".join(f"WHEN abs({name}) < {number(2.0 ** (_BAND * it + _TOP))} THEN {banded(it)} " for it in lower)
    exact = f"CASE {exact}ELSE {banded(highest)} END" if lower else banded(highest)
    return (
        f"CASE WHEN {name} = {number('Infinity')} THEN 'inf;' WHEN {name} = {number('-Infinity')} THEN '-inf;' "
        f"WHEN abs({name}) < {_PLAIN} THEN {tell.format(exact)} "
        f"WHEN abs({name}) <= {number(largest)} THEN {exact} ELSE 'nan;' END"
    )


def _exact(value: str, power: int, words: Words) -> str:
    step = f"CAST('{2.0**60}' AS {words.double})"
    rest = f"({value} - trunc({value})) * {step}"
    last = f"({rest} - trunc({rest})) * {step}"
    pieces = ", '/', ".join(words.whole(f"trunc({it})") for it in (value, rest, last))
    return f"concat('{power}/', {pieces}, ';')"


DUCKDB = Words(
    double="DOUBLE",
    whole=lambda it: f"TRY_CAST({it} AS BIGINT)::VARCHAR",  # values of other branches may be evaluated, too
    text=lambda it: f"{it}::VARCHAR",
    octets=lambda it: f"strlen({it})::VARCHAR",
    microseconds=lambda it, _: f"epoch_us({it}::TIMESTAMP)::VARCHAR",
    digest=lambda it: f"md5({it})",
    total=lambda it: f"sum(('0x' || {it})::BIGINT)",
)
POSTGRES = Words(
    double="float8",
    whole=lambda it: f"({it})::bigint::text",
    text=lambda it: f"{it}::text",
    octets=lambda it: f"octet_length(convert_to({it}, 'UTF8'))::text",
    microseconds=lambda it, kind: (
        f"(({it} - DATE '1970-01-01')::bigint * 86400000000)::text"
        if kind is ColumnType.DATE
        else f"(extract(epoch FROM {it}) * 1000000)::bigint::text"
    ),
    digest=lambda it: f"md5(convert_to({it}, 'UTF8'))",
    total=lambda it: f"sum(('x' || {it})::bit(60)::bigint)",
    fence="OFFSET 0",
)
BIGQUERY = Words(
    double="FLOAT64",
    whole=lambda it: f"CAST(CAST({it} AS INT64) AS STRING)",
    text=lambda it: f"CAST({it} AS STRING)",
    octets=lambda it: f"CAST(BYTE_LENGTH({it}) AS STRING)",
    microseconds=lambda it, _: (
        f"CAST(DATETIME_DIFF(CAST({it} AS DATETIME), DATETIME '1970-01-01', MICROSECOND) AS STRING)"
    ),
    digest=lambda it: f"TO_HEX(MD5({it}))",
    total=lambda it: f"SUM(CAST(CAST(CONCAT('0x', {it}) AS INT64) AS BIGNUMERIC))",
    quote=lambda it: f"`{it}`",
)
