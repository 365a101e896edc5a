"""Months of green as they are published, every row of them with a number and a seal that no other version has."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from taxi_platform_tests.assets.months import TRIP

MONTH, NEIGHBOUR = "2021-01", "2020-12"
#: The columns that hold a row's number and its seal, as the platform calls them.
NUMBER, SEAL = "trip_distance", "store_and_fwd_flag"
_TURNED_AWAY_EVERY = 40
#: Figures of the fare: with seals they make a month of over a megabyte, which is copied in more than one piece.
_NOISE = ("fare_amount", "extra", "tip_amount", "tolls_amount", "total_amount")
_SEAL_BYTES = 240


@dataclass(frozen=True)
class Version:
    """What is published as a month at one time.

    Attributes:
        name: What people call it.
        month: The month.
        rows: How many rows the file has.
    """

    name: str
    month: str
    rows: int

    @cached_property
    def body(self) -> bytes:
        """The file."""
        lines = [",".join(TRIP), *(",".join(row.values()) for row in self._published())]
        return gzip.compress("".join(f"{line}\r\n" for line in lines).encode(), compresslevel=1, mtime=0)

    @cached_property
    def kept(self) -> dict[int, str]:
        """Number and seal of the rows that the rules keep."""
        return {number: seal for number, seal in self._sealed() if number % _TURNED_AWAY_EVERY}

    @cached_property
    def turned_away(self) -> dict[int, str]:
        """Number and seal of the rows that the rules turn away."""
        return {number: seal for number, seal in self._sealed() if not number % _TURNED_AWAY_EVERY}

    def _sealed(self) -> Iterator[tuple[int, str]]:
        seals = random.Random(f"{self.name} {self.month}")
        return ((number, f"{self.name}:{seals.randbytes(_SEAL_BYTES).hex()}") for number in range(1, self.rows + 1))

    def _published(self) -> Iterator[dict[str, str]]:
        noise = random.Random(f"noise {self.name}")
        for number, seal in self._sealed():
            yield {
                **TRIP,
                "lpep_pickup_datetime": f"{self.month}-05 10:{number // 60 % 60:02}:{number % 60:02}",
                "lpep_dropoff_datetime": f"{self.month}-05 12:00:00",
                "trip_distance": str(number),
                "store_and_fwd_flag": seal,
                "passenger_count": str(min(number % _TURNED_AWAY_EVERY, 1)),
                **{name: repr(noise.uniform(1, 100)) for name in _NOISE},
            }


#: They take turns: the second corrects the first by leaving rows out, the first the second by having more.
VERSIONS = {version.name: version for version in (Version("first", MONTH, 5_000), Version("second", MONTH, 4_200))}
OTHER_MONTH = Version("other", NEIGHBOUR, 300)
