"""Is a month's file right, by TLC's own totals? A verdict, in words and figures.

The report tells trips per day, rounded. A file that agrees within that rounding, or within half a percent, agrees. Up
to 5 % is told and passes; beyond that either the file or the report is wrong. Which of them, their own neighbours say:
a month that stands far above or below the months before and after it, while the other does not, is the one that is off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import log

from taxi_platform.core.month import Month
from taxi_platform.core.official.report import Report, Reported

#: Shares of the reported trips up to which a file agrees, and up to which it is near enough not to be warned of. Of 284
#: months of 2010 to 2022, 246 are within the first and 20 beyond the second.
AGREES, NEAR = 0.005, 0.05
#: A report is suspected where it stands so far from its neighbours (as a logarithm), and the file not a third as far.
#: Of months that both agree on, one in a hundred stands so far from its neighbours.
_OFF, _TIMES = 0.10, 3.0
#: A file of fewer than this share of the reported trips is an extract, or a sample: nothing to put on trial.
_EXTRACT = 0.05


class Verdict(StrEnum):
    """What the report says of a file."""

    AGREES = "agrees"
    LACKS = "the file lacks trips"
    MORE = "the file has more trips"
    REPORT = "the report looks wrong"
    UNJUDGED = "not judged"


@dataclass(frozen=True)
class Judgement:
    """A verdict, and what it is made of.

    Attributes:
        verdict: In one word or a few.
        says: In a sentence.
        rows: Of the file; its dollars, where those are judged.
        reported: Trips, or dollars, by the report; None where it has none.
        difference: What the file has less what is reported.
        is_lost: Whether a whole part of it, such as a base, is not there, however few trips those are.
    """

    verdict: Verdict
    says: str
    rows: int
    reported: int | None = None
    difference: int = 0
    is_lost: bool = False

    @property
    def share(self) -> float:
        """The difference, as a share of the reported trips."""
        return self.difference / self.reported if self.reported else 0.0

    @property
    def is_near(self) -> bool:
        """Whether nobody needs to be warned: file and report differ by no more than 5 %."""
        return self.verdict is Verdict.UNJUDGED or (abs(self.share) <= NEAR and not self.is_lost)


def judge(
    dataset: str,
    month: Month,
    rows: int,
    report: Report,
    rows_of: Callable[[Month], int | None],
    other_edition: tuple[str, int] | None = None,
) -> Judgement:
    """Hold a month's file against TLC's report.

    Args:
        dataset: The dataset.
        month: The month.
        rows: Rows of its file, those that were turned away among them.
        report: TLC's report.
        rows_of: Rows of another month's file, as far as they are known.
        other_edition: What the month's other edition is called, and its rows; None where they are not known.
    """
    reported = report.of(dataset, month)
    if reported is None or not reported.trips:
        return Judgement(Verdict.UNJUDGED, f"TLC's report says nothing of {dataset} {month}", rows)
    difference = rows - reported.trips
    told = f"{rows:,} rows, {reported.trips:,} trips in TLC's report ({difference / reported.trips:+.2%})"
    verdict = _verdict(dataset, month, rows, reported, report, rows_of)
    if verdict is Verdict.UNJUDGED:
        says = f"{told}: an extract or a sample, which no report is of"
    elif verdict is Verdict.AGREES:
        exactly = " as exactly as it tells" if abs(difference) <= reported.rounding else ""
        says = f"{told}: they agree{exactly}"
    elif verdict is Verdict.REPORT:
        says = (
            f"{told}: the report looks wrong, as it stands far from the months before and after, and the file does not"
        )
    else:
        says = f"{told}: {verdict}, about {abs(difference):,}"
        if other_edition is not None:
            called, others = other_edition
            how = "nearer" if abs(others - reported.trips) < abs(difference) else "no nearer"
            says += f"; {called} has {others:,} rows and is {how}"
    return Judgement(verdict, says, rows, reported.trips, difference)


def _verdict(
    dataset: str,
    month: Month,
    rows: int,
    reported: Reported,
    report: Report,
    rows_of: Callable[[Month], int | None],
) -> Verdict:
    def reported_daily(other: Month) -> float | None:
        said = report.of(dataset, other)
        return float(said.trips_per_day) if said else None

    def daily(other: Month) -> float | None:
        # Where nobody knows the rows beside it, a file is held against what is reported of them.
        count = rows_of(other)
        return count / other.days if count else reported_daily(other)

    of_report = distance(reported.trips_per_day, month, reported_daily)
    of_file = distance(rows / reported.days, month, daily)
    return weigh(rows, reported.trips, reported.rounding, of_report, of_file)


def weigh(found: float, reported: float, rounding: float, of_report: float = 0.0, of_file: float = 0.0) -> Verdict:
    """Hold a figure of a file against the one that is reported: first the rounding, then half a percent, then five.

    Args:
        found: In the file.
        reported: By TLC; above 0.
        rounding: How much of it the rounding hides at most.
        of_report: How far the reported figure is from those of the months beside it (`distance`).
        of_file: How far that of the file is.
    """
    difference = found - reported
    if abs(difference) <= max(rounding, AGREES * reported):
        return Verdict.AGREES
    if abs(difference) > NEAR * reported and of_report > _OFF and of_report > _TIMES * of_file:
        return Verdict.REPORT
    if found < _EXTRACT * reported:
        return Verdict.UNJUDGED
    return Verdict.LACKS if difference < 0 else Verdict.MORE


def distance(here: float, month: Month, daily: Callable[[Month], float | None]) -> float:
    """How far a month's daily figure is from those of the months beside it, as a logarithm; 0 if nothing is known."""
    beside = [it for other in (month.previous, month.next) if (it := daily(other))]
    return abs(log(max(here, 1.0) * len(beside) / sum(beside))) if beside else 0.0
