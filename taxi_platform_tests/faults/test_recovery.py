"""Everything that the platform recovers from by itself, and two of the meetings; `make test-faults` has them all."""

from pathlib import Path

import pytest

from taxi_platform_tests.faults import points
from taxi_platform_tests.faults.recovery import ALWAYS, MEETINGS, chosen, meeting, what_is_wrong

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.mark.campaign
@pytest.mark.parametrize("name", ALWAYS)
def test_the_platform_is_whole_again_by_itself_and_nobody_edits_a_database(tmp_path: Path, name: str) -> None:
    assert what_is_wrong(name, tmp_path) == []


@pytest.mark.campaign
@pytest.mark.parametrize(
    "name", [meeting(points.CHECKING_CLEANED), meeting(points.BETWEEN_COPIES, points.LAKE_NOT_RECORDED)]
)
def test_of_two_runs_the_older_never_wins_and_the_table_is_the_lake_and_what_was_checked(
    tmp_path: Path, name: str
) -> None:
    assert what_is_wrong(name, tmp_path) == []


def test_the_long_form_has_two_runs_meet_in_both_orders_at_every_point() -> None:
    names = chosen(seed=1)
    assert set(names) >= {*ALWAYS, *map(meeting, MEETINGS)}
    for older in MEETINGS:
        assert len([it for it in names if it in {meeting(older, newer) for newer in MEETINGS}]) == 1
    assert names == chosen(seed=1)
    assert names != chosen(seed=2)
