"""What headers say, whatever stands in them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from taxi_platform.core.source.headers import can_be_sent, content_range, retry_after, whole_number

NOW = datetime(2022, 7, 4, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("Mon, 04 Jul 2022 10:02:00 GMT", 120),
        ("Monday, 04-Jul-22 10:02:00 GMT", 120),
        ("Mon Jul  4 10:02:00 2022", 120),
        ("Mon, 04 Jul 2022 12:02:00 +0200", 120),
        ("Mon, 04 Jul 2022 10:02:00 -0000", 120),
        ("Mon, 04 Jul 2022 09:00:00 GMT", 0),
        ("", None),
        ("   ", None),
        ("²", None),
        ("٣", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1, 2", None),
        ("soon", None),
        ("Mon, 99 Foo 2022 10:00:00 GMT", None),
        ("Mon, 04 Jul 99999999 10:00:00 GMT", None),
        ("Mon, 04 Jul 0000 10:00:00 GMT", 0),
        ("Mon, 04 Jul 2022 10:00:00 +9999999999999", None),
    ],
)
def test_a_pause_is_a_number_of_seconds_or_a_date_and_nothing_else(asked: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": asked}, NOW) == seconds


def test_a_pause_of_too_many_digits_is_a_very_long_one() -> None:
    assert (retry_after({"retry-after": "9" * 5000}, NOW) or 0) > 10**9
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("1000", 1000),
        (" 1000\t", 1000),
        ("0001000", 1000),
        ("7, 7,7", 7),
        ("10000000000000", 10**13),
        (None, None),
        ("", None),
        (",", None),
        ("7,", None),
        ("7, 8", None),
        ("-7", None),
        ("²", None),
        ("7 8", None),
        ("7.0", None),
        ("9" * 21, None),
        ("9" * 5000, None),
    ],
)
def test_a_length_is_a_number_that_could_be_meant(text: str | None, number: int | None) -> None:
    assert whole_number(text) == number


def test_a_range_is_read_strictly_because_bytes_are_appended_by_it() -> None:
    assert content_range({"content-range": "bytes 5-9/10"}) == (5, 9, 10)
    assert content_range({"content-range": "bytes 5-9/*"}) == (5, 9, None)
    for text in (
        "",
        "bytes 5-9",
        "bytes */10",
        "items 5-9/10",
        "bytes ²-9/10",
        "bytes -5-9/10",
        f"bytes {'9' * 5000}-1/2",
    ):
        assert content_range({"content-range": text}) is None


def test_only_what_a_header_can_hold_is_sent() -> None:
    assert can_be_sent('"v1"')
    assert can_be_sent("Mon, 04 Jul 2022 10:00:00 GMT")
    for value in (None, 5, "", " a", "a ", "a\r\nb", "a\0", "€", "\ud800"):
        assert not can_be_sent(value)
