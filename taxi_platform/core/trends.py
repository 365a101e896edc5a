"""What can be said of a month by other months, and by what TLC says of its own: each function judges one statement.

That a month has not shrunk stands in `shrinking.py`, as it ends a run.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from taxi_platform.core.catalog.model import RuleAction, TripContract
from taxi_platform.core.catalog.published import is_of_the_catalogue
from taxi_platform.core.findings import Figure, Finding
from taxi_platform.core.parquet import Lineage
from taxi_platform.core.rejects import Rejects
from taxi_platform.core.source.files import RawFile

#: A month is expected to hold between half and twice the rows of the median of the months around it.
USUAL_CHANGE = 2.0
#: Rejected shares this close to those of earlier months, in share of rows, are never worth a warning.
USUAL_REJECTS = 0.01
#: Share of rows that the contract's own rules turn away at most, in any month. TLC's real months have up to 2 % without
#: a passenger (yellow 2021-01) and next to none that do not convert: beyond this the file is not what it should be.
MOST_REJECTS = 0.05


def rejects_within_expectation(
    contract: TripContract,
    now: Lineage,
    before: Sequence[Lineage],
    why: Callable[[], Rejects],
    after: Sequence[Lineage] = (),
) -> Finding:
    """The share of rejected rows is like that of the months around it, and never large by the contract's own rules.

    Args:
        contract: The dataset's contract.
        now: Of the cleaned month.
        before: Of the months before; those cleaned by other rules than this one are no measure for it.
        why: What rows were turned away for.
        after: Of the months after, as in a backfill, whose newest months come first.
    """
    share = _rejected_share(now)
    alike, later = ([it for it in side if it.rules == now.rules] for side in (before, after))
    where = _where(alike, later)
    alike += later
    figures: dict[str, Figure] = {"share rejected": share, "months compared with": len(alike)}
    if not now.rows_in:
        return Finding(holds=True, says="the source file has no rows", figures=figures, judged=False)
    says, is_usual = f"{share:.3%} rejected", True
    if alike:
        usual = statistics.median(_rejected_share(it) for it in alike)
        figures["usual share"] = usual
        says += f", against {usual:.3%} in the {len(alike)} months {where}"
        is_usual = share <= usual * USUAL_CHANGE + USUAL_REJECTS
    else:
        says += "; no month near it to compare with"
    unasked = share
    if share > MOST_REJECTS and _rejecting(now.rules) - _rejecting(contract.actions()):
        # A run may turn away more on purpose, as the course's homework does with nearly half of a month.
        unasked = figures["share rejected by the contract's own rules"] = why().by_contract / now.rows_in
        says += f"; {unasked:.3%} by the contract's own rules"
    if unasked > MOST_REJECTS:
        says += f"; more than {MOST_REJECTS:.0%} is not usual in any month"
    holds = is_usual and unasked <= MOST_REJECTS
    return Finding(holds=holds, says=says if holds else f"{says}: {why()}", figures=figures)


def row_count_as_published(raw: RawFile, published: int | None) -> Finding:
    """The file has as many rows as TLC's own catalogue says; the catalogue is of the Parquet edition."""
    if published is None or raw.edition != "parquet":
        why = "the catalogue does not have the month" if raw.edition == "parquet" else "the CSV edition is not in it"
        return Finding(holds=True, says=f"nothing to compare with: {why}", figures={"rows": raw.rows}, judged=False)
    return Finding(
        holds=raw.rows == published,
        says=f"{raw.rows:,} rows, {published:,} in TLC's catalogue",
        figures={"rows": raw.rows, "rows in the catalogue": published, "difference": raw.rows - published},
    )


def row_count_in_trend(
    now: Lineage, before: Sequence[Lineage], after: Sequence[Lineage] = (), published: Sequence[int] = ()
) -> Finding:
    """The month is not much larger or smaller than those around it.

    Args:
        now: Of the cleaned month.
        before: Of the months before.
        after: Of the months after: a backfill brings the newest months first.
        published: Rows of the months around it in TLC's catalogue, which stand in for those of a month of TLC's own
            where none of them is here.
    """
    rows, where = [it.rows_in for it in (*before, *after)], _where(before, after)
    if not rows and is_of_the_catalogue(now.edition, now.source_url):
        rows, where = [*published], "around it in TLC's catalogue"
    figures: dict[str, Figure] = {"rows": now.rows_in, "months compared with": len(rows)}
    if not rows:
        says = f"{now.rows_in:,} rows; no month near it to compare with"
        return Finding(holds=True, says=says, figures=figures, judged=False)
    usual = statistics.median(rows)
    return Finding(
        holds=usual / USUAL_CHANGE <= now.rows_in <= usual * USUAL_CHANGE,
        says=f"{now.rows_in:,} rows, against {usual:,.0f} in the {len(rows)} months {where}",
        figures=figures | {"usual rows": usual},
    )


def _where(before: Sequence[Lineage], after: Sequence[Lineage]) -> str:
    """Where the months are that one is compared with."""
    return "around it" if before and after else "after" if after else "before"


def _rejected_share(lineage: Lineage) -> float:
    return lineage.rows_quarantined / lineage.rows_in if lineage.rows_in else 0.0


def _rejecting(actions: Mapping[str, RuleAction]) -> set[str]:
    return {name for name, action in actions.items() if action is RuleAction.REJECT}
