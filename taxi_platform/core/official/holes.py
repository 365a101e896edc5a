"""The months whose files TLC's own report disagrees with, as a page.

python -m taxi_platform.core.official.holes > docs/known-holes.md
"""

from __future__ import annotations

from taxi_platform.core.catalog.published import published_months, published_rows
from taxi_platform.core.month import Month
from taxi_platform.core.official.editions import known_rows
from taxi_platform.core.official.report import shipped_report
from taxi_platform.core.official.verdict import NEAR, Judgement, Verdict, judge

_HEAD = """# Known holes

TLC reports how many trips there were each month, and publishes the trips as files. Here the files are held against the
report: every month of TLC's Parquet (by its catalogue of rows, to May 2024) that differs from the monthly report (as of
spring 2022) by more than {near:.0%}. Of {judged} months that can be compared, {agree} agree within half a percent.

The report tells trips per day, so it is exact to half a trip per day. Until January 2019 the fhv files hold all four
licence classes of for-hire vehicles; after that the report's classes are not those of the fhv files, which are not
judged. Whether TLC has mended a file since is seen when it is fetched: the check `agrees_with_tlc_report` judges what
arrived.

| dataset | month | report | TLC's Parquet | difference | | CSV edition | prefer |
|---|---|--:|--:|--:|--:|--:|---|
"""

_FOOT = """
*Prefer* names the edition that is nearer to the report; a dash, where nobody has told how many rows the old CSV had.

This page is written by `make docs` from the figures the platform ships.
"""


def render() -> str:
    """The page, as Markdown."""
    judged = [(dataset, month, _judge(dataset, month)) for dataset, month in published_months()]
    counted = [it for _, _, it in judged if it.verdict is not Verdict.UNJUDGED]
    agree = sum(it.verdict is Verdict.AGREES for it in counted)
    rows = "\n".join(_row(dataset, month, it) for dataset, month, it in judged if not it.is_near)
    return _HEAD.format(near=NEAR, judged=len(counted), agree=agree) + rows + "\n" + _FOOT


def _judge(dataset: str, month: Month) -> Judgement:
    rows = published_rows(dataset, month) or 0
    return judge(dataset, month, rows, shipped_report(), lambda other: published_rows(dataset, other))


def _row(dataset: str, month: Month, it: Judgement) -> str:
    other, reported = known_rows(dataset, month, "csv"), it.reported or 0
    if it.verdict is Verdict.REPORT:
        prefer = "the file: the report looks wrong"
    elif other is None:
        prefer = "–"
    elif other == it.rows:
        prefer = "neither"
    else:
        prefer = "CSV" if abs(other - reported) < abs(it.difference) else "Parquet"
    told = f"{other:,}" if other is not None else ""
    figures = f"{reported:,} | {it.rows:,} | {it.difference:+,} | {it.share:+.1%} | {told}"
    return f"| {dataset} | {month} | {figures} | {prefer} |"


if __name__ == "__main__":
    print(render(), end="")
