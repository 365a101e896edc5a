"""What a change of the rules did to a month: how many rows changed sides, by their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxi_platform.core.cleaning import Moves, moves
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.cleaning.months import clean_lines, trip

#: Two rows without passengers, three that stand still, one of them both; and a line that is no row.
LINES = [
    trip(),
    trip(passenger_count="0"),
    trip(trip_distance="0"),
    "cut",
    trip(passenger_count="0", trip_distance="0"),
    trip(trip_distance="0", extra="1"),
]


def quarantine(folder: Path, name: str, actions: dict[str, str], lines: list[str] = LINES) -> ParquetFile:
    (folder / name).mkdir()
    return clean_lines(folder / name, lines, actions=actions).month.quarantine


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({}, {}, Moves(back=0, away=0)),
        ({}, {"nonpositive_distance": "reject"}, Moves(back=0, away=2)),
        ({"nonpositive_distance": "reject"}, {}, Moves(back=2, away=0)),
        ({}, {"zero_passengers": "warn"}, Moves(back=2, away=0)),
        ({"zero_passengers": "off"}, {}, Moves(back=0, away=2)),
        ({}, {"zero_passengers": "warn", "nonpositive_distance": "reject"}, Moves(back=1, away=2)),
        ({"unreadable": "reject"}, {"unreadable": "off"}, Moves(back=0, away=0)),
    ],
    ids=["no change", "to reject", "back to warn", "to warn", "from off", "both ways", "a line that is no row"],
)
def test_a_rule_moves_the_rows_that_break_it_and_no_others(
    before: dict[str, str], now: dict[str, str], expected: Moves, tmp_path: Path
) -> None:
    earlier, later = quarantine(tmp_path, "before", before), quarantine(tmp_path, "now", now)

    assert moves(earlier, later, tmp_path) == expected
    assert later.rows == earlier.rows - expected.back + expected.away
    assert moves(later, earlier, tmp_path) == Moves(back=expected.away, away=expected.back)


def test_another_raw_file_is_nothing_to_compare_with(tmp_path: Path) -> None:
    before, now = quarantine(tmp_path, "before", {}), quarantine(tmp_path, "now", {}, [*LINES, trip(extra="2")])

    assert moves(before, now, tmp_path) is None
    assert moves(None, now, tmp_path) is None


def test_moves_are_told_in_words() -> None:
    assert str(Moves(back=1_234, away=0)) == "1,234 rows came back from the quarantine, 0 went into it"
