"""Months: how they are written, ordered and followed."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month


@given(st.dates(date(1, 1, 1), date(9998, 12, 31)))
def test_a_month_reads_back_as_it_is_written_and_ends_where_the_next_begins(day: date) -> None:
    month = Month(day.year, day.month)
    assert Month.parse(str(month)) == month
    assert month.first_day == day.replace(day=1)
    assert month < month.next
    last_day = month.next.first_day - timedelta(days=1)
    assert (last_day.year, last_day.month) == (day.year, day.month)


def test_december_is_followed_by_january() -> None:
    assert Month(2020, 12).next == Month(2021, 1)


@pytest.mark.parametrize(
    ("month", "first", "last"),
    [
        (Month(2021, 1), Month(2020, 1), Month(2020, 12)),
        (Month(2021, 12), Month(2020, 12), Month(2021, 11)),
        (Month(2009, 5), Month(2008, 5), Month(2009, 4)),
    ],
    ids=str,
)
def test_the_year_before_a_month_is_the_twelve_months_that_lead_up_to_it(
    month: Month, first: Month, last: Month
) -> None:
    year = month.year_before

    assert (len(year), year[0], year[-1]) == (12, first, last)
    assert all(before.next == after for before, after in pairwise([*year, month]))


def test_months_are_written_so_that_text_sorts_as_they_do() -> None:
    assert str(Month(2021, 1)) == "2021-01"
    months = [Month(2021, 1), Month(2009, 12), Month(2020, 10), Month(2020, 9)]
    assert [str(month) for month in sorted(months)] == sorted(str(month) for month in months)


@pytest.mark.parametrize(
    "key",
    ["", "2021", "2021-1", "2021-00", "2021-13", "2021-01-01", " 2021-01", "2021-01\n", "0000-01", "21-01", "2021/01"],
)
def test_what_is_not_a_month_is_an_error_that_shows_how_to_write_one(key: str) -> None:
    with pytest.raises(TaxiPlatformError, match="is not a month") as error:
        Month.parse(key)
    assert "YYYY-MM" in str(error.value)
    assert repr(key) in str(error.value)
