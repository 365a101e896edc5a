"""What is said of rows that were turned away: which rules, which columns, a sample, and the form that is expected."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from taxi_platform.core.rejects import Rejects, rejects
from taxi_platform_tests.core.cleaning.months import HEADER, TRIP, YELLOW, Outcome, clean_lines, clean_parquet, trip

PICKUP = "tpep_pickup_datetime"
TIME = "a time as YYYY-MM-DD HH:MM:SS"


def said_of(outcome: Outcome, folder: Path) -> Rejects:
    return rejects(YELLOW, outcome.month.quarantine, folder)


@pytest.mark.parametrize(
    ("name", "text", "column", "form"),
    [
        (PICKUP, "12/18/2019 15:52", "pickup_datetime", TIME),
        (PICKUP, "1576684320", "pickup_datetime", TIME),
        (PICKUP, "2019-12-18T15:52:00Z", "pickup_datetime", TIME),
        ("passenger_count", "true", "passenger_count", "a whole number"),
        ("PULocationID", "43.5", "pickup_location_id", "a whole number"),
        ("fare_amount", "USD 8", "fare_amount", "a number with a decimal point"),
    ],
)
def test_a_column_that_converts_nowhere_is_named_with_a_sample_and_the_form_expected(
    name: str, text: str, column: str, form: str, tmp_path: Path
) -> None:
    said = said_of(clean_lines(tmp_path, [trip(**{name: text})] * 3), tmp_path)

    (bad,) = said.columns
    assert (bad.name, bad.published_as, bad.values, bad.sample, bad.row_number) == (column, name, 3, text, 1)
    assert f"{column} (published as {name}): 3 values are not {form}, such as '{text}' in row 1" in str(said)
    assert said.by_rule["unreadable"] == said.by_contract == 3


def test_decimal_commas_in_quotes_are_shown_as_they_stand(tmp_path: Path) -> None:
    header = ",".join(f'"{name}"' for name in TRIP)
    line = ",".join(f'"{value}"' for value in {**TRIP, "fare_amount": "1,50"}.values())
    said = said_of(clean_lines(tmp_path, [line] * 2, header), tmp_path)

    (bad,) = said.columns
    assert (bad.name, bad.sample) == ("fare_amount", "1,50")


def test_the_row_numbers_that_r_writes_before_the_columns_do_not_hide_the_one_that_is_wrong(tmp_path: Path) -> None:
    header = ",".join(f'"{name}"' for name in ("", *TRIP))
    values = {**TRIP, PICKUP: "18.12.2019 15:52"}.values()
    lines = [",".join(f'"{value}"' for value in (number, *values)) for number in (1, 2)]
    (bad,) = said_of(clean_lines(tmp_path, lines, header), tmp_path).columns
    assert (bad.name, bad.published_as, bad.sample) == ("pickup_datetime", PICKUP, "18.12.2019 15:52")


def test_the_column_that_is_wrong_most_often_is_told_first_and_few_are_told(tmp_path: Path) -> None:
    everything = dict.fromkeys((PICKUP, "VendorID", "fare_amount", "extra", "mta_tax"), "?")
    lines = [trip(), *[trip(extra="a lot")] * 3, trip(**everything), trip(VendorID="12/12")]
    said = said_of(clean_lines(tmp_path, lines), tmp_path)

    assert [it.name for it in said.columns][:2] == ["extra", "fare_amount"]
    assert [it.values for it in said.columns] == [4, 1, 1]
    assert (said.columns[0].row_number, said.columns[1].row_number) == (2, 5)


def test_values_of_a_parquet_file_are_told_as_they_were_published(tmp_path: Path) -> None:
    epochs = pa.array([1576684320, 1576684321], pa.int64())
    (bad,) = said_of(clean_parquet(tmp_path, {PICKUP: epochs}), tmp_path).columns
    assert (bad.name, bad.sample, bad.form) == ("pickup_datetime", "1576684320", TIME)


def test_lines_that_are_no_rows_are_told_with_the_first_of_them(tmp_path: Path) -> None:
    said = said_of(clean_lines(tmp_path, [trip(), "cut,off", trip(), "again"]), tmp_path)

    assert (said.no_rows, said.columns) == (2, ())
    assert "2 lines are no rows, such as 'cut,off', which is line 2" in str(said)


def test_rules_that_turned_rows_away_are_told_with_their_counts_and_those_of_the_run_told_apart(tmp_path: Path) -> None:
    lines = [*[trip(trip_distance="0")] * 3, trip(passenger_count="0"), trip(passenger_count="0", trip_distance="0")]
    outcome = clean_lines(tmp_path, lines, actions={"nonpositive_distance": "reject", "negative_total": "reject"})
    said = said_of(outcome, tmp_path)

    assert said.by_rule == {"nonpositive_distance": 4, "zero_passengers": 2}
    assert said.by_contract == 2
    assert str(said) == "turned away by nonpositive_distance 4, zero_passengers 2"


def test_a_sample_of_megabytes_is_cut_and_control_characters_are_escaped(tmp_path: Path) -> None:
    said = said_of(clean_lines(tmp_path, [trip(fare_amount="\x1b[2J" + "9" * 100_000 + "x")]), tmp_path)

    assert said.columns[0].sample.startswith("\\x1b[2J999")
    assert said.columns[0].sample.endswith("9… (100,005 characters)")
    assert len(str(said)) < 1_000


def test_a_column_published_under_any_name_and_case_is_found_in_its_row(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, ["never,1,5"], f" {PICKUP.upper()} ,a [0] \"b\" 'c',extra")
    (bad,) = said_of(outcome, tmp_path).columns
    assert (bad.published_as.strip(), bad.sample) == (PICKUP.upper(), "never")
    assert json.loads(outcome.turned_away[0]["original"])["extra"] == "5"


def test_a_month_nothing_was_turned_away_from_says_so(tmp_path: Path) -> None:
    assert str(said_of(clean_lines(tmp_path, [trip()], HEADER), tmp_path)) == "turned away by nothing"
