"""What a month lacks, and which months a backfill takes: decisions by what is known of each."""

import pytest

from taxi_platform.automation.choice import Facts, Lack, lacks_of, why_taken
from taxi_platform.automation.freshness import Statement
from taxi_platform.core.source import Publication

FETCHED = Publication("http://a/b.csv.gz", bytes=10, etag='"1"')
WHOLE = Statement(FETCHED, "r1", "r1", "o1", "o1", "r1")


@pytest.mark.parametrize(
    ("says", "facts", "lacks"),
    [
        ("all is as it should be", Facts(WHOLE), set()),
        ("nothing is anywhere", Facts(Statement()), {Lack.MISSING}),
        ("the table is another store's", Facts(Statement(FETCHED, "r1", "r1", "o1")), {Lack.MISSING}),
        ("the lake is another", Facts(Statement(FETCHED, "r1", "r1", None, "o1", "r1")), {Lack.MISSING}),
        ("the lake cannot be asked", Facts(Statement(FETCHED, "r1", "r1", "", "o1", "r1")), set()),
        ("its newest run failed", Facts(WHOLE, failure="no"), {Lack.FAILED}),
        ("it never arrived", Facts(Statement(), failure="no"), {Lack.MISSING, Lack.FAILED}),
        ("the source has the same", Facts(WHOLE, announced=FETCHED), set()),
        ("the source has another", Facts(WHOLE, announced=Publication("u", etag='"2"')), {Lack.CHANGED}),
        ("the source tells nothing of it", Facts(WHOLE, announced=Publication("u")), set()),
        ("the source has what was never fetched", Facts(Statement(), announced=FETCHED), {Lack.MISSING}),
        ("another contract made it", Facts(WHOLE, outdated="by another contract"), {Lack.OUTDATED}),
    ],
)
def test_what_a_month_lacks_is_told_by_what_is_where(says: str, facts: Facts, lacks: set[Lack]) -> None:
    assert set(lacks_of(facts)) == lacks, says


def test_a_backfill_that_is_not_limited_takes_every_month_and_says_what_each_lacks() -> None:
    assert why_taken(Facts(WHOLE), None) == "it is here, and is made anew"
    assert why_taken(Facts(Statement(), failure="the disk was full"), None) == (
        "missing: the table does not have it; failed: the disk was full"
    )


@pytest.mark.parametrize("only", list(Lack))
def test_a_limited_one_takes_those_that_lack_that_and_no_others(only: Lack) -> None:
    everything = Facts(
        Statement(FETCHED, "r1", "r1", "o1"), failure="no", announced=Publication("u", etag='"2"'), outdated="yes"
    )
    assert (why_taken(everything, only) or "").startswith(f"{only}: ")
    assert why_taken(Facts(WHOLE), only) is None
