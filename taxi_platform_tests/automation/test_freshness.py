"""What differs of a month, and when it is asked for once more: decisions without Dagster, network or clock."""

import json
from datetime import timedelta
from itertools import pairwise

import pytest

from taxi_platform.automation.freshness import PAUSES, Loaded, Request, Statement, name_of, next_attempt
from taxi_platform.core.month import Month

HOUR, DAY = 3600.0, 86400.0
JANUARY = Month(2024, 1)


@pytest.mark.parametrize(
    ("says", "statement", "lake", "behind_lake", "table"),
    [
        ("nothing is anywhere", Statement(), False, False, True),
        ("all agree", Statement(None, "r1", "r1", "o1", "o1", "r1"), False, False, False),
        ("it was fetched, and got no further", Statement(None, "r1"), True, False, True),
        ("a later file was fetched, and got no further", Statement(None, "r2", "r1", "o1", "o1", "r1"),
         True, False, True),
        ("its load was refused", Statement(None, "r2", "r2", "o2", "o1", "r1"), False, True, True),
        ("the store is another", Statement(None, "r1", "r1", "o1"), False, True, True),
        ("the lake is another, and empty", Statement(None, "r1", "r1", None, "o1", "r1"), True, False, False),
        ("somebody replaced the object", Statement(None, "r1", "r1", "o2", "o1", "r1"), False, True, True),
        ("somebody put the first object", Statement(None, None, None, "o1"), False, True, True),
        ("the lake cannot be asked", Statement(None, "r1", "r1", "", "o1", "r1"), False, True, False),
        ("nobody recorded names", Statement(None, "", "", "o1", "", ""), False, True, False),
    ],
)  # fmt: skip
def test_who_is_behind_is_told_by_the_names_of_what_is_there(
    says: str, statement: Statement, lake: bool, behind_lake: bool, table: bool
) -> None:
    found = statement.lake_is_behind, statement.table_is_behind_the_lake, statement.table_is_behind
    assert found == (lake, behind_lake, table), says


def test_what_does_not_arrive_is_asked_for_after_an_hour_six_a_day_three_days_and_then_every_week_for_ever() -> None:
    asked, last, now = list[float](), None, 0.0
    while now < 60 * DAY:
        if attempt := next_attempt(last, "v1", now):
            last = Request(f"run {attempt}", "v1", attempt, now)
            asked.append(now)
        now += 600.0
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses[:5] == [HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY] == [it.total_seconds() for it in PAUSES]
    assert set(pauses[5:]) == {7 * DAY}


def test_another_content_is_asked_for_at_once() -> None:
    last = Request("run", "v1", 7, 1000.0)
    assert next_attempt(last, "v1", 1001.0) is None
    assert next_attempt(last, "v2", 1001.0) == 1


def test_nobody_waits_for_a_request_that_a_clock_gone_wrong_has_made() -> None:
    assert next_attempt(Request("run", "v1", 2, 1e12), "v1", 1000.0) == 3


def test_a_request_that_was_counted_wrongly_is_made_again_all_the_same() -> None:
    assert next_attempt(Request("run", "v1", -5, 0.0), "v1", HOUR) is not None
    assert next_attempt(Request("run", "v1", 10**9, 0.0), "v1", timedelta(days=7).total_seconds()) == 10**9 + 1


def test_a_version_of_any_length_has_a_name_a_storage_can_index() -> None:
    assert name_of('"v1"') == '"v1"'
    long, other = "x" * 8000, "x" * 8001
    assert len(name_of(long)) < 200
    assert name_of(long) == name_of(long) != name_of(other)


@pytest.mark.parametrize(
    "cursor", [None, "", "not JSON", "null", "[]", '{"2024-01": 7}', '{"2024-01": "v1"}', '{"agreed": {"2024-01": 7}}']
)
def test_what_a_version_before_this_one_took_for_loaded_is_looked_at_anew(cursor: str | None) -> None:
    loaded = Loaded.from_cursor(cursor, "duckdb:/a")
    assert loaded.unsettled({JANUARY: "v1"}) == {JANUARY: "v1"}
    assert loaded.is_first_store


def test_only_objects_that_the_table_does_not_agree_with_are_looked_at() -> None:
    loaded = Loaded.from_cursor(None, "duckdb:/a").having_agreed(JANUARY, "v1").having_agreed(JANUARY.next, "v1")
    again = Loaded.from_cursor(loaded.to_cursor(), "duckdb:/a")
    assert again == loaded
    there = {JANUARY: "v1", JANUARY.next: "v2", JANUARY.next.next: "v1"}
    assert again.unsettled(there) == {JANUARY.next: "v2", JANUARY.next.next: "v1"}


def test_what_agreed_with_one_store_says_nothing_of_another() -> None:
    loaded = Loaded.from_cursor(None, "duckdb:/a").having_agreed(JANUARY, "v1")
    other = Loaded.from_cursor(loaded.to_cursor(), "duckdb:/b")
    assert other.unsettled({JANUARY: "v1"}) == {JANUARY: "v1"}
    assert not other.is_first_store, "records without a store's name are the first one's"
    back = Loaded.from_cursor(other.to_cursor(), "duckdb:/a")
    assert back.unsettled({JANUARY: "v1"}) == {JANUARY: "v1"}
    assert back.is_first_store


def test_a_cursor_holds_no_name_of_a_store() -> None:
    cursor = Loaded.from_cursor(None, "postgresql:db.example.com:5432/taxi").to_cursor()
    assert "db.example.com" not in cursor
    assert json.loads(cursor)["agreed"] == {}
