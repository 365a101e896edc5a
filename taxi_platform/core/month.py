"""A month: the unit everything here is partitioned, stored and replaced by."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from typing import Self

from taxi_platform.core.errors import TaxiPlatformError

_KEY = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month; `str(month)` is the partition key, `YYYY-MM`."""

    year: int
    number: int

    @classmethod
    def parse(cls, key: str) -> Self:
        """Read `YYYY-MM`.

        Raises:
            TaxiPlatformError: `key` is not a month.
        """
        match = _KEY.fullmatch(key)
        if match is None or not 1 <= int(match[2]) <= 12 or int(match[1]) < 1:
            raise TaxiPlatformError(f"{key!r} is not a month", fix="write it as YYYY-MM, for example 2021-01")
        return cls(int(match[1]), int(match[2]))

    @property
    def first_day(self) -> date:
        """The value of `source_month` in every table."""
        return date(self.year, self.number, 1)

    @property
    def days(self) -> int:
        """How many days it has."""
        return monthrange(self.year, self.number)[1]

    @property
    def next(self) -> Month:
        """The month after this one."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def previous(self) -> Month:
        """The month before this one."""
        return self.minus(1)

    def minus(self, months: int) -> Month:
        """The month so many before this one."""
        count = self.year * 12 + self.number - 1 - months
        return Month(count // 12, count % 12 + 1)

    def until(self, last: Month) -> list[Month]:
        """This month and those after it up to `last`; none if that is earlier."""
        count = (last.year - self.year) * 12 + last.number - self.number
        return [last.minus(it) for it in range(count, -1, -1)]

    @property
    def year_after(self) -> tuple[Month, ...]:
        """The twelve months that follow it, in order."""
        months, last = list[Month](), self
        for _ in range(12):
            last = last.next
            months.append(last)
        return tuple(months)

    @property
    def year_before(self) -> tuple[Month, ...]:
        """The twelve months before this one, oldest first."""
        return tuple(self.minus(it) for it in range(12, 0, -1))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"
