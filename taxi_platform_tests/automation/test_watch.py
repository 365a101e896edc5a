"""Which months are asked for, and what the answers mean: decisions by table, without Dagster, network or clock."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from taxi_platform.automation.freshness import Statement
from taxi_platform.automation.watch import (
    EARLIEST_LAG,
    KNOWN_PER_TICK,
    NEW_PER_TICK,
    UNSETTLED_PER_TICK,
    Watch,
    is_changed,
    known_months,
    lateness,
    new_months,
    overdue,
    publishable,
    unsettled_months,
)
from taxi_platform.core.month import Month
from taxi_platform.core.source import Publication

FIRST = Month(2019, 2)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
URL = "https://example.com/green_tripdata_2024-01.parquet"


def month(key: str) -> Month:
    return Month.parse(key)


def months(*keys: str) -> list[Month]:
    return [Month.parse(key) for key in keys]


def span(first: str, last: str) -> list[Month]:
    return Month.parse(first).until(Month.parse(last))


@pytest.mark.parametrize(
    ("today", "newest"),
    [
        ("2024-03-11", "2023-12"),  # January ended, at midnight, 39 days ago
        ("2024-03-12", "2024-01"),  # 40
        ("2024-02-10", "2023-12"),
        ("2024-01-10", "2023-11"),  # over the turn of the year
        ("2024-01-09", "2023-10"),
        ("2023-04-10", "2023-02"),  # February has 28 days
        ("2019-04-09", None),  # the dataset's first month is too young
        ("2019-04-10", "2019-02"),
        ("2018-01-01", None),  # before there was anything
    ],
)
def test_a_month_may_be_published_forty_days_after_its_end(today: str, newest: str | None) -> None:
    assert publishable(FIRST, date.fromisoformat(today)) == (month(newest) if newest else None)


@pytest.mark.parametrize(
    ("says", "known", "today", "asked"),
    [
        ("nothing is known: the months that may be on their way", [], "2024-06-15", span("2024-02", "2024-04")),
        ("not even the first month can be published", [], "2019-04-09", []),
        ("the first month", [], "2019-04-10", months("2019-02")),
        ("nothing is asked for before the first month", [], "2019-05-12", span("2019-02", "2019-03")),
        ("all that can be here is", span("2019-02", "2024-04"), "2024-06-15", []),
        ("the month after the last one", span("2019-02", "2024-03"), "2024-06-15", months("2024-04")),
        ("over the turn of a year", span("2019-02", "2023-11"), "2024-03-15", months("2023-12", "2024-01")),
        ("the oldest ones first, where many are missing", span("2019-02", "2023-08"), "2024-06-15",
         span("2023-09", "2023-12")),
        ("a hole between known months", [*span("2023-06", "2023-11"), *span("2024-01", "2024-04")], "2024-06-15",
         months("2023-12")),
        ("history is not a hole", months("2024-04"), "2024-06-15", months("2024-02", "2024-03")),
        ("not in a dataset that lags behind either", months("2023-12"), "2024-03-15", months("2023-11", "2024-01")),
        ("a hole is given up when twelve later ones are here", [month("2023-01"), *span("2023-03", "2024-04")],
         "2024-06-15", []),
        ("not before", [month("2023-01"), *span("2023-03", "2024-02")], "2024-04-15", months("2023-02")),
        ("known months from the future ask for nothing absurd", months("2030-01"), "2024-06-15", []),
    ],
)  # fmt: skip
def test_the_months_to_ask_for(says: str, known: list[Month], today: str, asked: list[Month]) -> None:
    assert new_months(FIRST, date.fromisoformat(today), known, Watch()) == asked, says


def test_a_month_that_was_requested_is_not_asked_for_as_new_though_its_run_may_have_failed() -> None:
    watch = Watch(requested={"2024-03": "v1"})
    assert new_months(FIRST, date(2024, 6, 15), span("2023-01", "2024-02"), watch) == months("2024-04")


def test_a_month_that_is_never_published_blocks_no_other_and_is_given_up_after_a_year() -> None:
    known, watch, asked_for_it = set(span("2023-01", "2023-04")), Watch(), set[str]()
    never, today = month("2023-05"), date(2023, 6, 1)
    while today < date(2026, 1, 1):
        for it in new_months(FIRST, today, known, watch):
            watch = watch.having_looked_at(it, "new")
            if it != never:
                known.add(it)
            else:
                asked_for_it.add(f"{today:%Y-%m}")
        today += timedelta(days=1)
    assert sorted(known) == [it for it in span("2023-01", "2025-10") if it != never]
    assert (min(asked_for_it), max(asked_for_it)) == ("2023-07", "2024-08")  # until June 2024 was there


def test_many_unpublished_months_all_have_their_turn() -> None:
    watch, asked = Watch(), list[Month]()
    for _ in range(3):
        turn = new_months(FIRST, date(2024, 6, 15), span("2023-01", "2023-10"), watch)
        assert len(turn) == NEW_PER_TICK
        for it in turn:
            watch = watch.having_looked_at(it, "new")
        asked += turn
    assert asked == span("2023-11", "2024-04") * 2


def test_every_known_month_has_its_turn_and_then_the_first_again() -> None:
    watch, walked = Watch(), list[Month]()
    for _ in range(4):
        turn = known_months(reversed(span("2023-10", "2024-03")), watch)
        assert len(turn) == KNOWN_PER_TICK
        for it in turn:
            watch = watch.having_looked_at(it, "known")
        walked += turn
    assert walked == span("2023-10", "2024-03") * 2


def test_few_known_months_are_looked_at_once_in_a_turn() -> None:
    assert known_months(months("2024-01"), Watch(walked="2024-01")) == months("2024-01")
    assert known_months([], Watch()) == []


@pytest.mark.parametrize(
    ("known", "today", "due"),
    [
        ([], "2024-06-20", months("2024-02")),  # 2024-02 was over 111 days ago, 2024-03 80
        (span("2023-01", "2024-02"), "2024-06-20", []),
        (span("2023-01", "2023-11"), "2024-06-20", span("2023-12", "2024-02")),
        (span("2023-01", "2024-03"), "2024-06-20", []),
        (months("2023-11", "2024-01"), "2024-06-20", months("2023-12", "2024-02")),  # a hole, too
        (months("2022-06", "2024-01"), "2024-02-20", span("2023-01", "2023-10")),  # of the last year only
        ([], "2019-06-15", months("2019-02")),  # the first month, 106 days after its end
        ([], "2019-06-14", []),
    ],
)
def test_a_month_is_overdue_when_tlc_has_never_taken_longer(known: list[Month], today: str, due: list[Month]) -> None:
    assert overdue(FIRST, date.fromisoformat(today), known) == due


def test_on_the_day_of_the_schedule_every_month_is_due_within_140_days_of_its_end() -> None:
    known = set(span("2019-02", "2020-12"))
    for it in span("2021-05", "2024-12"):
        day = it.first_day.replace(day=20)
        due = overdue(FIRST, day, known)
        assert len(due) <= 1
        assert all(106 < (day - late.next.first_day).days < 142 for late in due)
        known |= set(due)
    assert len(known) == len(span("2019-02", "2024-08"))


def test_a_source_that_refuses_is_left_alone_twice_as_long_each_time_up_to_a_day() -> None:
    watch, pauses = Watch(), list[float]()
    for _ in range(9):
        watch = watch.after_refusal(now=0.0)
        pauses.append(watch.quiet_until)
    assert pauses == [*(15 * MINUTE * 2**it for it in range(7)), DAY, DAY]
    assert watch.after_answers() == Watch()


@pytest.mark.parametrize(
    ("asked_to_wait", "pause"), [(None, 900.0), (60.0, 900.0), (7200.0, 7200.0), (1e30, DAY), (float("inf"), DAY)]
)
def test_a_source_that_says_when_to_come_back_is_obeyed_within_reason(
    asked_to_wait: float | None, pause: float
) -> None:
    assert Watch().after_refusal(1000.0, asked_to_wait).quiet_until == 1000.0 + pause


def test_a_source_that_refuses_for_years_overflows_nothing() -> None:
    assert Watch(refusals=100_000).after_refusal(0.0).quiet_until == DAY


@pytest.mark.parametrize(("now", "quiet"), [(0.0, True), (HOUR - 1, True), (HOUR, False), (-DAY, False)])
def test_the_source_is_quiet_until_its_time_is_up_or_the_clock_was_wrong(now: float, quiet: bool) -> None:
    assert Watch(quiet_until=HOUR).is_quiet(now) is quiet


def test_what_is_remembered_survives_in_the_cursor() -> None:
    watch = Watch({"2024-01": '"v1"'}, "2023-05", "2024-02", 3, 1.5e9)
    assert Watch.from_cursor(watch.to_cursor()) == watch


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        "",
        "{}",
        "not JSON",
        "null",
        "[]",
        '"text"',
        '{"requested": ["2024-01"]}',
        '{"requested": {"January": "v1"}}',
        '{"requested": {"2024-01": null}}',
        '{"refusals": "many"}',
        '{"walked": 7}',
    ],
)
def test_a_cursor_that_cannot_be_read_is_as_good_as_none(cursor: str | None) -> None:
    assert Watch.from_cursor(cursor) == Watch()


def test_a_cursor_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert Watch.from_cursor(json.dumps({"walked": "2024-01", "something": "new"})) == Watch(walked="2024-01")


OLD, NEW = Publication(URL, 10, '"v1"', "Monday"), Publication(URL, 11, '"v2"', "Tuesday")
NOTHING_TOLD = Publication("")


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [
        (OLD, OLD, False),
        (OLD, NEW, True),
        (OLD, replace(OLD, last_modified="Tuesday"), False),  # stamped anew, the same bytes
        (OLD, replace(OLD, etag='"v2"'), True),
        (replace(OLD, etag=None), replace(OLD, bytes=11), True),
        (replace(OLD, etag=None), replace(OLD, last_modified="Tuesday"), True),
        (replace(OLD, etag=None), OLD, False),
        (Publication(URL, 10), Publication(URL, 10), False),
        (Publication(URL, 10), Publication(URL, None, None, "Monday"), None),
        (NOTHING_TOLD, OLD, None),
    ],
)
def test_a_file_is_another_one_by_its_etag_or_else_by_size_and_time(
    before: Publication, now: Publication, changed: bool | None
) -> None:
    assert is_changed(before, now) is changed


IN_LAKE = Statement(fetched="raw 1", cleaned="raw 1", stored="object 1")
HERE, UNRECORDED = replace(IN_LAKE, published=OLD), replace(IN_LAKE, published=NOTHING_TOLD, fetched="", cleaned="")
#: Its run failed after the fetch.
FETCHED = replace(HERE, published=NEW, fetched="raw 2")


@pytest.mark.parametrize(
    ("says", "requested", "statement", "found", "differs", "remembered", "seen"),
    [
        ("a new month", None, Statement(), OLD, True, '"v1"', None),
        ("it was asked for, and is not here yet", '"v1"', Statement(), OLD, True, '"v1"', None),
        ("its run failed, and TLC mended the file", '"v1"', Statement(), NEW, True, '"v2"', None),
        ("it is here", '"v1"', HERE, OLD, False, None, None),
        ("somebody else brought it", None, HERE, OLD, False, None, None),
        ("it was republished", None, HERE, NEW, True, '"v2"', None),
        ("the run for that has failed", '"v2"', HERE, NEW, True, '"v2"', None),
        ("it was fetched, and got no further", '"v2"', FETCHED, NEW, True, '"v2"', None),
        ("nobody remembers that it was asked for", None, FETCHED, NEW, True, '"v2"', None),
        ("it went back to what is here", '"v2"', HERE, OLD, False, None, None),
        ("another lake, which is empty", None, replace(HERE, stored=None), OLD, True, '"v1"', None),
        ("the lake cannot be asked", None, replace(HERE, stored=""), OLD, False, None, None),
        ("nobody recorded what is here: it is compared with this", None, UNRECORDED, OLD, False, None, '"v1"'),
        ("a version before this one remembered it elsewhere", '"v1"', UNRECORDED, OLD, False, None, '"v1"'),
        ("it is another, until its run has recorded it", '"v1"', UNRECORDED, NEW, True, '"v2"', '"v1"'),
    ],
)
def test_what_is_published_and_not_in_the_lake_differs_until_it_is(
    says: str,
    requested: str | None,
    statement: Statement,
    found: Publication,
    differs: bool,
    remembered: str | None,
    seen: str | None,
) -> None:
    others = {"2023-12": "v9"}
    watch = Watch({**others, **({"2024-01": requested} if requested else {})})
    for _ in range(3):  # however often it is looked at
        watch, found_other = watch.having_found(month("2024-01"), found, statement)
        assert found_other is differs, says
        assert watch.requested == {**others, **({"2024-01": remembered} if remembered else {})}, says
        assert watch.seen == ({"2024-01": seen} if seen else {}), says


def test_a_month_that_is_gone_from_the_source_is_waited_for_no_longer() -> None:
    assert Watch({"2024-01": "v1", "2024-02": "v1"}).having_gone(month("2024-01")).requested == {"2024-02": "v1"}


def test_the_months_that_did_not_agree_all_have_their_turn_while_no_run_is_at_work() -> None:
    watch, looked = Watch(dict.fromkeys(map(str, span("2023-07", "2024-01")), "v1")), list[Month]()
    for _ in range(3):
        turn = unsettled_months(watch, months("2023-12"))
        assert len(turn) == UNSETTLED_PER_TICK
        for it in turn:
            watch = watch.having_looked_at(it, "unsettled")
        looked += turn
    assert looked == [it for it in span("2023-07", "2024-01") if it != month("2023-12")] * 2


@pytest.mark.parametrize(
    ("here", "today", "late"),
    [
        ([], "2024-06-20", False),  # nothing to judge
        (span("2023-01", "2024-02"), "2024-06-20", False),
        (span("2023-01", "2024-01"), "2024-06-20", True),
        (span("2019-02", "2024-01"), "2024-06-20", True),  # however many old ones came today
        (span("2023-01", "2024-01"), "2024-06-13", False),  # 105 days after the end of February
        ([month("2023-01"), *span("2023-03", "2024-02")], "2024-06-20", False),  # a hole is not lateness
    ],
)
def test_a_dataset_is_late_by_its_newest_month(here: list[Month], today: str, late: bool) -> None:
    is_late, says = lateness(FIRST, date.fromisoformat(today), here)
    assert is_late is late
    assert ("2024-02 should be here" in says) is late


def test_what_was_loaded_once_and_is_stale_now_is_overdue() -> None:
    known = span("2023-01", "2024-02")
    stale = months("2022-06", "2023-04", "2024-02")
    assert overdue(FIRST, date(2024, 6, 20), known, lambda it: it not in stale) == months("2023-04", "2024-02")


def test_nobody_asks_for_what_tlc_cannot_have_published() -> None:
    assert timedelta(0) < EARLIEST_LAG < timedelta(days=48)
