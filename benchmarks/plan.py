"""How large and how often: the full benchmark, and a quick look."""

from __future__ import annotations

from dataclasses import dataclass

#: Rows of yellow 2021-01 as TLC published it: the month of the course.
MONTH_ROWS = 1_369_765


@dataclass(frozen=True)
class Plan:
    """Sizes and repeats.

    Attributes:
        month_rows: Rows of the month that stages and jobs are measured with.
        small_rows: Rows of the month that shows what start-up costs, and of each month of the backfill.
        growth_rows: Rows of the months that show how the job grows: few, a month, more, most.
        repeats: Runs of each contender; the median counts.
        slow_repeats: Runs of peers that take minutes, and of backfills.
        backfill_months: Months of the backfill.
        history_months: Months of each dataset in an instance that has been at work for long.
    """

    month_rows: int
    small_rows: int
    growth_rows: tuple[int, int, int, int]
    repeats: int
    slow_repeats: int
    backfill_months: int
    history_months: int


FULL = Plan(
    month_rows=MONTH_ROWS,
    small_rows=20_000,
    growth_rows=(100_000, MONTH_ROWS, 5_000_000, 14_000_000),
    repeats=5,
    slow_repeats=3,
    backfill_months=24,
    history_months=200,
)
QUICK = Plan(
    month_rows=100_000,
    small_rows=5_000,
    growth_rows=(20_000, 50_000, 100_000, 200_000),
    repeats=2,
    slow_repeats=1,
    backfill_months=4,
    history_months=12,
)
