"""The fingerprint in plain Python, by nothing but docs/fingerprint.md: what the stores find is held against it."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from fractions import Fraction

LIMIT = 2**37


def multiplier(name: str, part: int) -> int:
    return 65_536 + int(hashlib.md5(f"{name}/{part}".encode()).hexdigest()[:4], 16)


def counts(name: str, value: object) -> list[int]:
    """What each part of a cell adds to its row's number."""

    def times(*found: int, first: int = 0) -> list[int]:
        return [(it + LIMIT) * multiplier(name, part) for part, it in enumerate(found, first)]

    match value:
        case None | str():
            return []
        case datetime():
            since = value - datetime(1970, 1, 1)
            return times(since.days, since.seconds * 10**6 + since.microseconds)
        case date():
            return times((value - date(1970, 1, 1)).days)
        case int() if -(2**31) <= value < 2**31:
            return times(value)
        case float() if is_plain(value):
            return times(round(value * 1e6))
        case float() if (pieces := pieces_of(value)) is not None:
            return times(*pieces, first=1)
        case float():
            return times(LIMIT)
        case _:
            raise AssertionError(value)


def whole_counts(name: str, value: int) -> list[int]:
    """The same of a column of eight-byte whole numbers."""
    high = int(Fraction(value, LIMIT))
    low = value - high * LIMIT
    return [(high + LIMIT) * multiplier(name, 0), (low + LIMIT) * multiplier(name, 1)]


def is_plain(value: float) -> bool:
    return abs(value) < 137_438 and round(value * 1e6) / 1e6 == value


def pieces_of(value: float) -> tuple[int, int, int] | None:
    if not abs(value) < LIMIT:
        return None
    first = int(Fraction(value))
    rest = (Fraction(value) - first) * LIMIT
    last = (rest - int(rest)) * LIMIT
    return (first, int(rest), int(last)) if last.denominator == 1 else None


def text(name: str, value: object) -> str:
    """What a cell adds to its row's text."""
    match value:
        case str():
            return f"{name}:{len(value.encode())}:{value}"
        case float() if is_plain(value) or pieces_of(value) is not None:
            return ""
        case float() if not math.isfinite(value):
            return f"{name}={value};"
        case float():
            power = next(it for it in range(-8, 9) if abs(Fraction(value)) < Fraction(2) ** (128 * it + 62))
            left = Fraction(value) / Fraction(2) ** (128 * power)
            second = (left - int(left)) * 2**60
            return f"{name}={power}/{int(left)}/{int(second)}/{int((second - int(second)) * 2**60)};"
        case _:
            return ""


def fingerprint(rows: Iterable[Mapping[str, object]], wide: Iterable[str] = ()) -> str:
    """The fingerprint of rows, whose columns stand in the contract's order.

    Args:
        rows: The rows.
        wide: Columns of eight-byte whole numbers.
    """
    total = 0
    for row, times in Counter(tuple(it.items()) for it in rows).items():
        cells = [
            whole_counts(name, value) if name in wide and isinstance(value, int) else counts(name, value)
            for name, value in row
        ]
        number = sum(map(sum, cells))
        texts = "".join(text(name, value) for name, value in row if isinstance(value, str))
        digits = "".join(text(name, value) for name, value in row if isinstance(value, float))
        digest = hashlib.md5((texts + digits).encode()).hexdigest()
        one, other = number % (2**31 - 1) + int(digest[:7], 16), number % 1_999_999_973 + int(digest[7:14], 16)
        total += times * one * other
    return f"{total % 2**60:015x}"
