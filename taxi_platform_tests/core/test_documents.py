"""The pages in docs/ say the bounds that the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxi_platform.core.room import RESERVE_BYTES, RESERVE_SHARE
from taxi_platform.core.showing import LONGEST_TEXT, LONGEST_VALUE
from taxi_platform.core.source.retry import RetryPolicy
from taxi_platform.core.source.text import LONGEST_LINE, MOST_FIELDS
from taxi_platform.core.source.web import MOST_REDIRECTS

PAGE = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "row",
    [
        f"| bytes of a line | {LONGEST_LINE:,} |",
        f"| columns | {MOST_FIELDS:,} |",
        f"the smaller of | {RESERVE_BYTES // 1_000_000} MB or {RESERVE_SHARE:.0%} |".replace("%", " %"),
        f"| seconds for a fetch, with all its attempts | {RetryPolicy().deadline:,.0f} |",
        f"| redirects | {MOST_REDIRECTS} |",
        f"| characters shown of a value / of a sentence | {LONGEST_VALUE} / {LONGEST_TEXT:,} |",
    ],
)
def test_the_page_of_files_says_the_bounds_of_the_code(row: str) -> None:
    assert row in PAGE
