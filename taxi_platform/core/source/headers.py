"""What a server says in the headers of an answer, read with the caution due to strangers: nothing in them raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Digits of a number that means anything: what does not fit 64 bits is nobody's size and nobody's pause.
_MOST_DIGITS = 20
_RANGE = re.compile(r"bytes +(\d{1,20})-(\d{1,20})/(\d{1,20}|\*)", re.ASCII)
#: What can be sent in a header: no control characters, nothing beyond Latin-1.
_SENDABLE = re.compile(r"[!-~\x80-\xff]([ -~\x80-\xff]*[!-~\x80-\xff])?")


def whole_number(text: str | None) -> int | None:
    """A header's number; None if there is none, or what stands there is no number that could be meant.

    It is read as Python reads numbers: the library that reads the body does the same, and ends it there. Several
    equal numbers in a list count as one: a proxy may have joined a header that came twice (RFC 9110, 8.6).
    """
    numbers = {part.strip() for part in (text or "").split(",")}
    try:
        number = int(numbers.pop())
    except ValueError:
        return None
    return number if not numbers and 0 <= number < 10**_MOST_DIGITS else None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds a server asks to be left alone for; None if it does not say, or not so that it can be understood.

    Args:
        headers: Those of its answer.
        now: The time of day, with a zone: it may name a moment instead of a number of seconds (RFC 9110, 10.2.3).
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():  # a number too long to be meant still means "very long"
        return float(asked) if len(asked) <= _MOST_DIGITS else float(10**_MOST_DIGITS)
    try:
        moment = parsedate_to_datetime(asked)
        if moment.tzinfo is None:  # "-0000": the time of no zone in particular, which is that of Greenwich
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def content_range(headers: Mapping[str, str]) -> tuple[int, int, int | None] | None:
    """First byte, last byte, and the whole file's size (None if it is not told) of an answer that is a part of it."""
    found = _RANGE.fullmatch(headers.get("content-range", "").strip())
    if found is None:
        return None
    first, last, whole = found.groups()
    return int(first), int(last), None if whole == "*" else int(whole)


def can_be_sent(value: object) -> bool:
    """Whether something that was read from a file may be sent as a header's value."""
    return isinstance(value, str) and bool(_SENDABLE.fullmatch(value))
