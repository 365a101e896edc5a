"""What a cell adds to its row's number and text, in SQL: steps 1 to 4 of docs/fingerprint.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from taxi_platform.core.catalog.model import Column, ColumnType
from taxi_platform.core.engine import literal
from taxi_platform.core.fingerprint.words import Words

#: What is counted of a cell is less than this and more than its negative, which is what a null counts.
_LIMIT = 1 << 37
#: What a double that is money or a distance is told in, millionths of one, and up to where.
_MILLION, _PLAIN = 10**6, 137_438
#: A double beyond all that is brought by a power of 2 to the 128th between 2 to the -66th and 2 to the 62nd.
_BAND, _TOP = 128, 62
#: The powers: from the smallest double, 2 to the -1074th, to the largest.
_BANDS = range(-8, 9)
_LARGEST = 1.7976931348623157e308


def multiplier(name: str, part: int = 0) -> int:
    """What the cells of a column count times, a number from 65,536 to 131,071."""
    return (1 << 16) + int(hashlib.md5(f"{name}/{part}".encode(), usedforsecurity=False).hexdigest()[:4], 16)


def base(columns: Iterable[Column]) -> int:
    """What is added to the sum of `number` of all columns, so that a null adds nothing and nothing is negative."""
    return sum(_LIMIT * multiplier(it.name, part) for it in columns for part in _parts(it))


def number(column: Column, words: Words, *, whole: bool) -> str:
    """What a cell adds to its row's number, less what `base` adds for it.

    Args:
        column: Of no texts.
        words: The store's.
        whole: Whether any double is told; else one whose digits `digits` would tell makes null of it.
    """
    name = words.quote(column.name)
    match column.type:
        case ColumnType.FLOAT64:
            told = _double(column, words)
            return f"coalesce({told}, {_LIMIT * multiplier(column.name)})" if whole else told
        case ColumnType.TIMESTAMP:
            counts = [words.day(name, column.type), words.microsecond(name)]
        case ColumnType.DATE:
            counts = [words.day(name, column.type)]
        case ColumnType.INT64:
            counts = [words.quotient(name, _LIMIT), f"mod({name}, {_LIMIT})"]
        case _:
            counts = [words.integer(name)]
    cells = (f"coalesce({it}, {-_LIMIT}) * {multiplier(column.name, part)}" for part, it in enumerate(counts))
    return " + ".join(cells)


def text(column: Column, name: str, words: Words) -> str:
    """What a text adds to its row's text; nothing if it is null."""
    told = f"concat({literal(column.name)}, ':', {words.octets(name)}, ':', {name})"
    return f"CASE WHEN {name} IS NULL THEN '' ELSE {told} END"


def digits(column: Column, words: Words) -> str:
    """What a double that no number tells adds to its row's text; any other, and null, adds nothing."""
    name = words.quote(column.name)

    def banded(power: int) -> str:
        half = _literal(2.0 ** (-_BAND * power // 2), words)  # twice: the whole factor may be too large for a double
        pieces = ", '/', ".join(words.text(words.whole(it)) for it in _pieces(f"({name} * {half} * {half})", 60, words))
        return f"concat('{power}/', {pieces})"

    *lower, highest = _BANDS
    exact = "".join(
        f"WHEN abs({name}) < {_literal(2.0 ** (_BAND * it + _TOP), words)} THEN {banded(it)} " for it in lower
    )
    told = (
        f"CASE WHEN {name} = {_literal('Infinity', words)} THEN 'inf' WHEN {name} = {_literal('-Infinity', words)} "
        f"THEN '-inf' {exact}WHEN abs({name}) <= {_literal(_LARGEST, words)} THEN {banded(highest)} ELSE 'nan' END"
    )
    told = f"concat({literal(column.name)}, '=', {told}, ';')"
    return f"CASE WHEN ({_double(column, words)}) IS NULL THEN {told} ELSE '' END"


def _double(column: Column, words: Words) -> str:
    """In millionths if that is all of it; else in three whole numbers of 37 binary digits; else null."""
    name, million, limit = words.quote(column.name), _literal(_MILLION, words), _literal(float(_LIMIT), words)
    first, *others = (multiplier(column.name, part) for part in range(4))
    millionths = f"round({name} * {million})"
    pieces = _pieces(name, 37, words)
    exact = " + ".join(f"{words.whole(it)} * {times}" for it, times in zip(pieces, others, strict=True))
    exact = f"{exact} + {_LIMIT * (sum(others) - first)}"
    rest = pieces[-1].removeprefix("trunc(").removesuffix(")")
    # One within the other: not every store leaves the second condition alone where the first does not hold.
    return (
        f"CASE WHEN {name} IS NULL THEN {-_LIMIT * first} WHEN abs({name}) < {limit} THEN "
        f"CASE WHEN {millionths} / {million} = {name} AND abs({name}) < {_literal(_PLAIN, words)} "
        f"THEN {words.whole(millionths)} * {first} WHEN {pieces[-1]} = {rest} THEN {exact} END END"
    )


def _pieces(value: str, bits: int, words: Words) -> list[str]:
    """A double's whole part, and twice as many binary digits of the rest, each as a double without fraction."""
    step = _literal(2.0**bits, words)
    rest = f"({value} - trunc({value})) * {step}"
    last = f"({rest} - trunc({rest})) * {step}"
    return [f"trunc({it})" for it in (value, rest, last)]


def _parts(column: Column) -> range:
    return range(2 if column.type in (ColumnType.TIMESTAMP, ColumnType.INT64) else 1)


def _literal(value: str | float, words: Words) -> str:
    return f"CAST('{value}' AS {words.double})"
