"""One figure for the content of a month, whatever the order of its rows: docs/fingerprint.md defines it.

Each store works it out from its own rows, in its own SQL. Here is the query, what a cell counts is in `cells.py`, and
what the stores call things in `words.py`. Nothing that stores print or round differently takes part. Rows whose texts
are the same are added up first, so that a text is hashed once and not once per row.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import Column, ColumnType
from taxi_platform.core.fingerprint.cells import base, digits, number, text
from taxi_platform.core.fingerprint.words import DUCKDB, Words
from taxi_platform.core.parquet import ParquetFile

#: A row's number is cut by these: two primes.
_PRIMES = 2**31 - 1, 1_999_999_973
#: So many hexadecimal digits of the texts' MD5 are added to each remainder.
_WORD = 7
#: The fingerprint is a sum modulo 16 to this power.
_DIGITS = 15


@dataclass(frozen=True)
class Fingerprint:
    """What a month holds.

    Attributes:
        rows: How many rows.
        digits: Their fingerprint, 15 hexadecimal digits.
    """

    rows: int
    digits: str


def make_fingerprint(
    ask: Callable[[str], Iterable[int | Decimal | None]],
    columns: Iterable[Column],
    there: Container[str],
    rows: str,
    words: Words,
    nulls: Container[str] = (),
) -> Fingerprint:
    """The fingerprint of rows.

    The first query takes for granted what is so of most months, and counts where it is not; then a second one is asked,
    whose text is ten times as long: planning it costs more than most months take.

    Args:
        ask: Runs a query and gives its one row.
        columns: The contract's.
        there: The columns that the rows have; one that is not among them is null.
        rows: A `FROM` clause, with its condition.
        words: The store's.
        nulls: Columns that are probably null throughout: it is cheaper to see that than to tell their cells.
    """
    held = [column for column in columns if column.name in there]
    filled = [column for column in held if column.name not in nulls]
    total, count, beyond = ask(_query(filled, [it for it in held if it not in filled], rows, words, whole=False))
    if beyond:
        total, count, _ = ask(_query(held, [], rows, words, whole=True))
    return Fingerprint(int(count or 0), f"{int(total or 0) % 16**_DIGITS:0{_DIGITS}x}")


def fingerprint_file(file: ParquetFile, columns: Iterable[Column], spill_to: Path) -> Fingerprint:
    """The fingerprint of a Parquet file."""
    with engine.connect(spill_to) as con:
        rows = f"FROM {engine.parquet(file.path)}"
        return fingerprint_rows(con, columns, file.schema.names, rows, file.null_columns)


def fingerprint_rows(
    con: duckdb.DuckDBPyConnection,
    columns: Iterable[Column],
    there: Container[str],
    rows: str,
    nulls: Container[str] = (),
) -> Fingerprint:
    """The fingerprint of rows that DuckDB has; the arguments are those of `make_fingerprint`."""
    return make_fingerprint(lambda it: con.execute(it).fetchall()[0], columns, there, rows, DUCKDB, nulls)


def _query(columns: list[Column], nulls: list[Column], rows: str, words: Words, *, whole: bool) -> str:
    """The sum, how many rows there are, and in how many of them something is not as it was taken for granted."""
    texts = [it for it in columns if it.type is ColumnType.STRING]
    numbers = [it for it in columns if it.type is not ColumnType.STRING]
    keys = {f"text_{nth}": words.quote(it.name) for nth, it in enumerate(texts)}
    told = [text(it, key, words) for it, key in zip(texts, keys, strict=True)]
    if whole:
        doubles = (digits(it, words) for it in numbers if it.type is ColumnType.FLOAT64)
        keys["digits"] = f"concat({', '.join([*doubles, repr('')])})"
        told.append("digits")
    counted = " + ".join([str(base(numbers)), *(number(it, words, whole=whole) for it in numbers)])
    stray = " OR ".join(f"{words.quote(it.name)} IS NOT NULL" for it in nulls) or "1 = 0"
    selected = "".join(f"{value} AS {key}, " for key, value in keys.items())
    passed = "".join(f"{key}, " for key in keys)
    one, other = (f"mod(counted, {prime})" for prime in _PRIMES)
    first, second = (words.word(f"substr(digest, {start}, {_WORD})") for start in (1, 1 + _WORD))
    return f"""
        SELECT sum(products + ones * second + others * first + {words.wide("times")} * first * second),
               sum(times), sum(strays)
        FROM (
            SELECT products, ones, others, times, strays, {first} AS first, {second} AS second
            FROM (
                SELECT products, ones, others, times, strays, {words.digest(f"concat({', '.join([*told, repr('')])})")}
                    AS digest
                FROM (
                    SELECT {passed}sum({words.addend("one * other")}) AS products, sum({words.addend("one")}) AS ones,
                           sum({words.addend("other")}) AS others, count(*) AS times,
                           count(*) - count(one) + sum(stray) AS strays
                    FROM (
                        SELECT {passed}{one} AS one, {other} AS other, stray
                        FROM (
                            SELECT {selected}{counted} AS counted, CASE WHEN {stray} THEN 1 ELSE 0 END AS stray
                            {rows} {words.fence}
                        ) AS rows_told {words.fence}
                    ) AS rows_cut
                    {f"GROUP BY {', '.join(keys)}" if keys else ""}
                ) AS texts_told
            ) AS texts_digested
        ) AS texts_cut
    """
