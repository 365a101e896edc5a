"""What the stores call the parts of the fingerprint's definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from taxi_platform.core.catalog.model import ColumnType


@dataclass(frozen=True)
class Words:
    """What one store calls the parts of the definition; each takes and gives SQL.

    Attributes:
        double: Its type of eight-byte floating-point numbers.
        integer: A whole number as one of eight bytes.
        whole: A double without fraction as a whole number of eight bytes.
        quotient: A whole number by another, cut towards zero.
        day: A time's or day's days since 1970.
        microsecond: A time's microseconds since its midnight.
        text: A whole number as text.
        octets: A text's length in bytes of UTF-8, as text.
        digest: A text as the hexadecimal MD5 of its UTF-8.
        word: Seven hexadecimal digits as the whole number they are.
        addend: A whole number of eight bytes in a type whose sum does not overflow.
        wide: The same in one whose products do not, either.
        quote: A column's name.
        fence: What keeps a query from being merged with the one around it, which would work its columns out twice.
    """

    double: str
    integer: Callable[[str], str]
    whole: Callable[[str], str]
    quotient: Callable[[str, int], str]
    day: Callable[[str, ColumnType], str]
    microsecond: Callable[[str], str]
    text: Callable[[str], str]
    octets: Callable[[str], str]
    digest: Callable[[str], str]
    word: Callable[[str], str]
    addend: Callable[[str], str]
    wide: Callable[[str], str]
    quote: Callable[[str], str] = str
    fence: str = ""


DUCKDB = Words(
    double="DOUBLE",
    integer=lambda it: f"{it}::BIGINT",
    whole=lambda it: f"TRY_CAST({it} AS BIGINT)",  # values of other branches may be evaluated, too
    quotient=lambda it, by: f"({it} // {by})",
    day=lambda it, _: f"({it}::DATE - DATE '1970-01-01')::BIGINT",
    microsecond=lambda it: f"(epoch_us({it}) - epoch_us({it}::DATE::TIMESTAMP))",
    text=lambda it: f"{it}::VARCHAR",
    octets=lambda it: f"strlen({it})::VARCHAR",
    digest=lambda it: f"md5({it})",
    word=lambda it: f"('0x' || {it})::BIGINT",
    addend=lambda it: it,
    wide=lambda it: f"{it}::HUGEINT",
)
POSTGRES = Words(
    double="float8",
    integer=lambda it: it,
    whole=lambda it: f"({it})::bigint",
    quotient=lambda it, by: f"({it} / {by})",
    day=lambda it, kind: f"({it}{'::date' if kind is ColumnType.TIMESTAMP else ''} - DATE '1970-01-01')",
    # A double has every microsecond of a day, and not of all years; a `numeric` of all years is slow.
    microsecond=lambda it: f"(date_part('epoch', {it}::time) * 1000000)::bigint",
    text=lambda it: f"({it})::text",
    octets=lambda it: f"octet_length(convert_to({it}, 'UTF8'))::text",
    digest=lambda it: f"md5(convert_to({it}, 'UTF8'))",
    word=lambda it: f"('x' || {it})::bit(28)::bigint",
    addend=lambda it: it,
    wide=lambda it: f"{it}::numeric",
    fence="OFFSET 0",
)
BIGQUERY = Words(
    double="FLOAT64",
    integer=lambda it: it,
    whole=lambda it: f"CAST({it} AS INT64)",
    quotient=lambda it, by: f"DIV({it}, {by})",
    day=lambda it, _: f"DATE_DIFF(DATE({it}), DATE '1970-01-01', DAY)",
    microsecond=lambda it: f"DATETIME_DIFF({it}, DATETIME(DATE({it})), MICROSECOND)",
    text=lambda it: f"CAST({it} AS STRING)",
    octets=lambda it: f"CAST(BYTE_LENGTH({it}) AS STRING)",
    digest=lambda it: f"TO_HEX(MD5({it}))",
    word=lambda it: f"CAST(CONCAT('0x', {it}) AS INT64)",
    addend=lambda it: f"CAST({it} AS BIGNUMERIC)",
    wide=lambda it: f"CAST({it} AS BIGNUMERIC)",
    quote=lambda it: f"`{it}`",
)
