"""Whether a month is there at all: it has rows, and not far fewer than it had, TLC says it has, or those beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from taxi_platform.core.catalog.published import NOTHING, Counts, is_of_the_catalogue, published_rows
from taxi_platform.core.findings import Figure, Finding
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile
from taxi_platform.core.rejects import Rejects

#: A month may have this share of the rows it had. TLC's editions of one month differ by up to 13 % (yellow 2012; green
#: 2019-04 by 10 %), so no correction takes half of a month away: a file that was cut, filtered or emptied does.
LEAST_LEFT = 0.5

#: And a month has at least this share of the rows of the lesser of those beside it. In the spring of 2020 a month fell
#: to 8 % of the one before, and rose no higher in the next; what loses 99 % of its rows is no trend.
LEAST_BESIDE = 0.02
#: Months of fewer rows than these are nobody's measure.
_FEWEST = 100

_OF_FILE, _CLEANED = "rows in the source file", "rows cleaned"


@dataclass(frozen=True)
class _Count:
    """A number of rows beside the one it is measured by."""

    what: str
    rows: int
    due: int
    where: str
    least: float = LEAST_LEFT

    @property
    def is_far_fewer(self) -> bool:
        return self.rows < self.due * self.least

    def __str__(self) -> str:
        return f"{self.rows:,} {self.what} against {self.due:,} {self.where}"


def month_has_not_shrunk(
    now: Lineage,
    held: ParquetFile | None,
    published: int | None,
    why: Callable[[], Rejects],
    beside: int | None = None,
) -> Finding:
    """The source file has rows, and neither it nor what is left of it has shrunk, unless that is meant.

    It is measured by the lake, not by the cleaned file it replaces: what is there has passed, so that a second run of
    the same bad file finds the same as the first, on whatever machine.

    Args:
        now: Of the cleaned month.
        held: The month's object in the lake; None if it holds none.
        published: Rows of the month in TLC's catalogue, where it has the month.
        why: What rows were turned away for; asked where too few are left.
        beside: Rows of the lesser of the months beside it, as `rows_beside` has them.
    """
    counts = [*_counts(now, held, published), *_far_fewer_than_beside(now, beside)]
    figures: dict[str, Figure] = {_OF_FILE: now.rows_in, _CLEANED: now.rows_cleaned}
    figures |= {f"{it.what} {it.where}": it.due for it in counts}
    fewer = [it for it in counts if it.is_far_fewer]
    if now.rows_in and not fewer:
        says = ", ".join(map(str, counts)) or f"{now.rows_in:,} rows; the lake holds no version that this one replaces"
        return Finding(holds=True, says=says, figures=figures)
    says = ", ".join(map(str, fewer))
    if not now.rows_in:
        says = f"the source file has no rows{f': {says}' if says else ''}"
    if _is_meant(now, held):
        return Finding(holds=True, says=f"{says}; the run was told that this is meant", figures=figures)
    if now.rows_quarantined and any(it.what == _CLEANED for it in fewer):
        says = f"{says}; {why()}"
    return Finding(
        holds=False,
        says=f"{says}. The lake and the table keep what they have; if this is meant, {_way(now)}",
        figures=figures,
    )


def month_fits_those_beside(now: Lineage, beside: int | None) -> Finding:
    """A month that is stored already is not far below those beside it, which were not here when it came.

    Args:
        now: Of the cleaned month.
        beside: Rows of the lesser of the months beside it, as `rows_beside` has them.
    """
    fewer = list(_far_fewer_than_beside(now, beside))
    figures: dict[str, Figure] = {_OF_FILE: now.rows_in}
    figures |= {f"{it.what} {it.where}": it.due for it in fewer}
    if now.fewer_rows_are_meant or not fewer:
        return Finding(holds=True, says=", ".join(map(str, fewer)) or f"{now.rows_in:,} rows", figures=figures)
    return Finding(
        holds=False,
        says=f"{fewer[0]}. It came before they did, and is in the lake and the table: look at the source's file, and "
        f"run the month again once that is whole; if this is meant, {_way(now)}",
        figures=figures,
    )


def rows_beside(month: Month, now: Lineage, near: Mapping[Month, Lineage], counted: Counts = NOTHING) -> int | None:
    """Rows of the lesser of the months right before and after; None where nothing is known of either.

    Args:
        month: The month between them.
        now: Of it; if it is TLC's own file, TLC's catalogue stands in for what is not here.
        near: Of the months that are here.
        counted: Rows of TLC's files that are newer than its catalogue.
    """
    rows = list[int]()
    for it in (month.previous, month.next):
        if it in near:
            rows.append(near[it].rows_in)
        elif is_of_the_catalogue(now.edition, now.source_url) and (
            published := published_rows(now.dataset, it, counted)
        ):
            rows.append(published)
    return min(filter(None, rows), default=None)


def _way(now: Lineage) -> str:
    return f"say so in the run config: ops: {{clean_{now.dataset}_trips: {{config: {{fewer_rows_are_meant: true}}}}}}"


def _far_fewer_than_beside(now: Lineage, beside: int | None) -> Iterator[_Count]:
    if beside and beside >= _FEWEST:
        count = _Count(_OF_FILE, now.rows_in, beside, "in the lesser of the months beside it", LEAST_BESIDE)
        if count.is_far_fewer:
            yield count


def _counts(now: Lineage, held: ParquetFile | None, published: int | None) -> Iterator[_Count]:
    if held is not None:
        before = held.known_lineage
        if before is None:  # somebody else put it there
            yield _Count(_CLEANED, now.rows_cleaned, held.rows, "in the lake")
        else:
            yield _Count(_OF_FILE, now.rows_in, before.rows_in, "in that of the version in the lake")
            if before.rules == now.rules:  # by other rules, other rows are turned away on purpose
                yield _Count(_CLEANED, now.rows_cleaned, before.rows_cleaned, "in the lake")
    if published is not None and is_of_the_catalogue(now.edition, now.source_url):
        yield _Count(_OF_FILE, now.rows_in, published, "in TLC's catalogue")


def _is_meant(now: Lineage, held: ParquetFile | None) -> bool:
    """Whether this run was told so, or the one that brought the same file to the lake."""
    before = held.known_lineage if held is not None else None
    was_meant = before is not None and before.fewer_rows_are_meant and before.source_sha256 == now.source_sha256
    return now.fewer_rows_are_meant or was_meant
