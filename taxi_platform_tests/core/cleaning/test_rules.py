"""Every rule of the contracts, one at a time: exactly the rows that break it fire it, and its action happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxi_platform.core.catalog.model import RuleAction, TripContract
from taxi_platform_tests.core.cleaning.months import GREEN, HEADER, YELLOW, Outcome, clean_lines, trip

PICKUP, DROPOFF = "tpep_pickup_datetime", "tpep_dropoff_datetime"

#: Rule to changes that break it, and to changes that come close and do not.
BREAKS: dict[str, list[dict[str, str]]] = {
    "unreadable": [{"fare_amount": "#VALUE!"}, {DROPOFF: "2021-02-30 10:00:00"}],
    "missing_pickup": [{PICKUP: ""}, {PICKUP: "  "}],
    "zero_passengers": [{"passenger_count": "0"}, {"passenger_count": "0.0"}],
    "missing_passengers": [{"passenger_count": ""}, {"passenger_count": " "}],
    "nonpositive_distance": [{"trip_distance": "0"}, {"trip_distance": "-.01"}],
    "negative_total": [{"total_amount": "-0.01"}, {"total_amount": "-500"}],
    "dropoff_before_pickup": [{DROPOFF: "2021-01-05 09:59:59"}, {DROPOFF: "2001-01-01 00:00:00"}],
    "pickup_outside_month": [{PICKUP: "2020-12-31 23:59:59"}, {PICKUP: "2021-02-01 00:00:00", DROPOFF: ""}],
    "unknown_zone": [{"PULocationID": "0"}, {"DOLocationID": "266"}],
    "duplicate_row": [{}, {}],
}
NEAR_MISSES: list[dict[str, str]] = [
    {PICKUP: "2021-01-01 00:00:00"},
    {PICKUP: "2021-01-31 23:59:59.999999", DROPOFF: "2021-02-01 00:10:00"},
    {DROPOFF: "2021-01-05 10:00:00"},
    {DROPOFF: ""},
    {"trip_distance": "0.01"},
    {"trip_distance": ""},
    {"total_amount": "0"},
    {"total_amount": ""},
    {"PULocationID": "1", "DOLocationID": "265"},
    {"PULocationID": "", "DOLocationID": ""},
    {"passenger_count": "1.0"},
]

every_rule = pytest.mark.parametrize("rule", BREAKS)
either_dataset = pytest.mark.parametrize("contract", [YELLOW, GREEN], ids=["yellow", "green"])


def clean_month(folder: Path, contract: TripContract, lines: list[str], **actions: str) -> Outcome:
    header = HEADER if contract is YELLOW else HEADER.replace("tpep", "lpep")
    return clean_lines(folder, lines, header, contract=contract, actions=actions)


def month_breaking(rule: str) -> list[str]:
    """Five rows of which the second and the fifth break the rule."""
    first, second = BREAKS[rule]
    if rule == "duplicate_row":
        return [trip(), trip(**first), trip(extra="1"), trip(extra="2"), trip(**second)]
    return [
        trip(extra="1"),
        trip(extra="10", **first),
        trip(extra="2"),
        trip(extra="2.5"),
        trip(extra="11", **second),
    ]


@either_dataset
def test_every_rule_of_the_contract_is_tested_here(contract: TripContract) -> None:
    assert [rule.name for rule in contract.rules] == list(BREAKS)


@either_dataset
@every_rule
def test_a_rule_set_to_reject_quarantines_exactly_the_rows_that_break_it(
    contract: TripContract, rule: str, tmp_path: Path
) -> None:
    outcome = clean_month(tmp_path, contract, month_breaking(rule), **{rule: "reject"})

    assert [(row["row_number"], row["broken_rules"]) for row in outcome.turned_away] == [(2, [rule]), (5, [rule])]
    assert len(outcome.rows) == 3
    assert outcome.counts() == {rule: (2, 0)}


@either_dataset
@every_rule
def test_a_rule_set_to_warn_keeps_its_rows_and_counts_them(contract: TripContract, rule: str, tmp_path: Path) -> None:
    outcome = clean_month(tmp_path, contract, month_breaking(rule), **{rule: "warn"})

    assert len(outcome.rows) == 5
    assert outcome.turned_away == []
    assert outcome.counts() == {rule: (0, 2)}


@either_dataset
@every_rule
def test_a_rule_set_to_off_is_not_looked_at(contract: TripContract, rule: str, tmp_path: Path) -> None:
    outcome = clean_month(tmp_path, contract, month_breaking(rule), **{rule: "off"})

    assert len(outcome.rows) == 5
    assert outcome.turned_away == []
    assert outcome.counts() == {}


@either_dataset
def test_rows_that_nearly_break_a_rule_break_none(contract: TripContract, tmp_path: Path) -> None:
    outcome = clean_month(
        tmp_path,
        contract,
        [trip(**changes) for changes in NEAR_MISSES],
        **{rule.name: "reject" for rule in contract.rules},
    )

    assert outcome.counts() == {}
    assert len(outcome.rows) == len(NEAR_MISSES)


def test_a_missing_passenger_count_is_not_zero_passengers(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(passenger_count=""), trip(passenger_count="0"), trip(passenger_count="1")])

    assert outcome.column("passenger_count") == [None, 1]
    assert outcome.counts() == {"zero_passengers": (1, 0), "missing_passengers": (0, 1)}


def test_a_row_that_breaks_several_rules_lists_them_all_and_counts_in_each(tmp_path: Path) -> None:
    awful = {"passenger_count": "0", "total_amount": "-1", "trip_distance": "0", "extra": "x", PICKUP: ""}
    outcome = clean_lines(tmp_path, [trip(), trip(**awful)])

    (row,) = outcome.turned_away
    assert row["broken_rules"] == [
        "unreadable",
        "missing_pickup",
        "zero_passengers",
        "nonpositive_distance",
        "negative_total",
    ]
    assert outcome.counts() == dict.fromkeys(row["broken_rules"], (1, 0))


def test_of_equal_rows_the_first_stays_and_all_others_are_duplicates(tmp_path: Path) -> None:
    lines = [trip(), trip(extra="1"), trip(), trip(), trip(extra="1"), trip(extra="2")]

    warned = clean_lines(tmp_path, lines)
    assert warned.counts() == {"duplicate_row": (0, 3)}
    assert len(warned.rows) == 6

    strict = tmp_path / "strict"
    strict.mkdir()
    rejected = clean_lines(strict, lines, actions={"duplicate_row": "reject"})
    assert [row["row_number"] for row in rejected.turned_away] == [3, 4, 5]
    assert rejected.column("extra") == [3.0, 1.0, 2.0]
    assert all(row["original"] for row in rejected.turned_away)


def test_rows_equal_but_for_a_null_or_an_unknown_column_are_no_duplicates(tmp_path: Path) -> None:
    lines = [trip() + ",a", trip() + ",b", trip() + ",", trip(extra="") + ",a", trip(extra="") + ",a"]
    outcome = clean_lines(tmp_path, lines, f"{HEADER},news")

    assert outcome.counts() == {"duplicate_row": (0, 1)}


def test_rows_that_differ_only_in_how_a_value_is_written_are_duplicates(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(extra="3"), trip(extra="3.00"), trip(VendorID="1.0")])

    assert outcome.counts() == {"duplicate_row": (0, 2)}


def test_a_rejected_row_still_counts_for_the_rules_that_only_warn(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(passenger_count="0", trip_distance="0"), trip(trip_distance="0")])

    assert outcome.counts() == {"zero_passengers": (1, 0), "nonpositive_distance": (1, 1)}


def test_a_month_of_which_every_row_is_rejected_has_an_empty_cleaned_file(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(passenger_count="0")] * 4)

    assert outcome.cleaned.num_rows == 0
    assert outcome.cleaned.schema.equals(YELLOW.arrow_schema)
    assert [row["row_number"] for row in outcome.turned_away] == [1, 2, 3, 4]
    assert outcome.is_conserved


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["no line end", "LF", "CRLF"])
def test_a_month_that_is_only_a_header_gives_two_valid_empty_files(end: str, tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [], end=end)

    assert outcome.cleaned.num_rows == outcome.quarantine.num_rows == 0
    assert outcome.cleaned.schema.equals(YELLOW.arrow_schema)
    assert outcome.month.cleaned.lineage.rows_in == 0


def test_cleaned_rows_keep_the_order_of_the_file_and_the_schema_of_the_contract(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(extra=str(number)) for number in range(500)])

    assert outcome.column("extra") == [float(number) for number in range(500)]
    assert outcome.cleaned.schema.equals(YELLOW.arrow_schema)


def test_the_files_say_where_their_rows_came_from(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(), trip(passenger_count="0"), "cut"], actions={"negative_total": "off"})

    assert outcome.month.cleaned.lineage == outcome.month.quarantine.lineage
    lineage = outcome.month.cleaned.lineage
    assert (lineage.rows_in, lineage.rows_cleaned, lineage.rows_quarantined) == (3, 1, 2)
    assert (lineage.dataset, lineage.month, lineage.edition) == ("yellow", "2021-01", "csv")
    assert (lineage.source_sha256, lineage.contract_version) == (outcome.raw.sha256, YELLOW.version)
    assert lineage.rules == YELLOW.actions({"negative_total": "off"})
    assert lineage.rules["negative_total"] is RuleAction.OFF
    assert {row["contract_version"] for row in outcome.turned_away} == {YELLOW.version}
    assert {row["source_file"] for row in outcome.turned_away} == {"yellow_tripdata_2021-01.csv"}
    assert outcome.month.summary == "1 rows cleaned, 2 quarantined (unreadable 1, zero_passengers 1)"


def test_the_summary_gives_as_reasons_only_rules_that_turn_rows_away_and_lines_that_are_no_row(tmp_path: Path) -> None:
    lines = [trip(passenger_count="0", trip_distance="-1"), trip(extra="x"), trip(), "cut"]
    actions = {"zero_passengers": "reject", "nonpositive_distance": "warn", "unreadable": "warn"}

    outcome = clean_lines(tmp_path, lines, actions=actions)

    assert outcome.month.summary == "2 rows cleaned, 2 quarantined (unreadable 1, zero_passengers 1)"
    assert {it.rule.name: it.rejected for it in outcome.month.counts}["nonpositive_distance"] == 1
