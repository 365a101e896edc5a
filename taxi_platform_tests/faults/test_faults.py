"""A few runs that are killed, fourteen with the campaigns; `make test-faults` kills over a hundred."""

from collections.abc import Mapping
from typing import Any

import pytest

from taxi_platform_tests.faults.campaign import Outcome, Round, carry_out, dozen, everything
from taxi_platform_tests.faults.stores import COMBINATIONS, Servers

pytestmark = pytest.mark.long
ROUNDS = dozen()


def _once(played: Round) -> Any:
    """`make test` plays the rounds whose leftovers are judged, at a laptop's stores and at Google's."""
    is_quick = played.ages and played.combination in ("folder+duckdb", "gcs+bigquery")
    return pytest.param(played, id=str(played), marks=() if is_quick else pytest.mark.campaign)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Round, Outcome]:
    """What came of the rounds that were asked for, which are played several at a time."""
    asked = {
        it.callspec.id for it in request.session.items if isinstance(it, pytest.Function) and hasattr(it, "callspec")
    }
    found: list[Outcome] = []
    with Servers() as servers:
        carry_out([it for it in ROUNDS if str(it) in asked], servers, tmp_path_factory.mktemp("faults"), found.append)
    return {outcome.round: outcome for outcome in found}


@pytest.mark.parametrize("played", [_once(it) for it in ROUNDS])
def test_a_month_is_the_old_one_or_the_new_one_whenever_its_run_is_killed(
    outcomes: Mapping[Round, Outcome], played: Round
) -> None:
    outcome = outcomes[played]
    assert not outcome.problems, "\n".join((f"{played}, {outcome.correction}", *outcome.problems))
    assert outcome.kills == len(played.kills)


def test_a_few_kills_go_to_every_combination() -> None:
    assert sum(len(it.kills) for it in ROUNDS) == 14
    assert {it.combination for it in ROUNDS} == set(COMBINATIONS)


def test_the_long_form_kills_at_every_point_and_over_a_hundred_times() -> None:
    rounds = everything(seed=1)
    killed_at = {(it.combination, kill.point) for it in rounds for kill in it.kills}
    assert killed_at >= {(name, point) for name, it in COMBINATIONS.items() for point in it.points}
    assert sum(len(it.kills) for it in rounds) >= 100
    assert rounds == everything(seed=1)
    assert rounds != everything(seed=2)
