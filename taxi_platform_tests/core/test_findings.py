"""What the checks find: each statement holds where it should, fails where it should, and says why in figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core import engine, findings, trends
from taxi_platform.core.catalog.model import RuleAction
from taxi_platform.core.catalog.published import TLC_FILES
from taxi_platform.core.findings import Profile
from taxi_platform.core.fingerprint import Fingerprint, fingerprint_file
from taxi_platform.core.measures import Measures, measure_file
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile, copy_options
from taxi_platform.core.rejects import Rejects, rejects
from taxi_platform.core.showing import LONGEST_TEXT, MOST_NAMED, shown
from taxi_platform.core.warehouse.zone_totals import ZoneTotals, zone_view_matches_table
from taxi_platform_tests.core.cleaning.months import CATALOG, HEADER, YELLOW, Outcome, clean_lines, trip, with_columns
from taxi_platform_tests.core.cleaning.test_new_columns import HOSTILE_NAMES, unknown_in_parquet

JANUARY = Month(2021, 1)
PICKUP = "tpep_pickup_datetime"
LINEAGE = Lineage(
    dataset="yellow",
    month="2021-01",
    source_url="file:///yellow_tripdata_2021-01.csv",
    source_sha256="ab" * 32,
    edition="csv",
    contract_version="0123456789ab",
    rules={"unreadable": RuleAction.REJECT},
    rows_in=1_000,
    rows_cleaned=990,
    rows_quarantined=10,
)
LEAVES_ALL = {"unreadable": "warn", "missing_pickup": "warn", "zero_passengers": "warn"}


def profiled(outcome: Outcome, folder: Path) -> Profile:
    return findings.profile(YELLOW, JANUARY, outcome.month.cleaned, folder)


def why(outcome: Outcome, folder: Path) -> Callable[[], Rejects]:
    return lambda: rejects(YELLOW, outcome.month.quarantine, folder)


def never_asked() -> Rejects:
    raise AssertionError("nobody had to look into the quarantine")


def rewritten(file: ParquetFile, path: Path, table: pa.Table) -> ParquetFile:
    """A file with other rows that says of its origin what the first does."""
    metadata = pq.read_schema(file.path).metadata or {}
    lineage = {b"taxi_platform": file.lineage.to_json().encode()}
    pq.write_table(table.replace_schema_metadata({**metadata, **lineage}), path)
    return ParquetFile(path)


@pytest.fixture
def month(tmp_path: Path) -> Outcome:
    """Three rows, of which one is cleaned, one rejected and one malformed."""
    return clean_lines(tmp_path, [trip(), trip(passenger_count="0"), "cut"])


def test_conserved_rows_are_found_conserved(month: Outcome) -> None:
    found = findings.rows_are_conserved(month.raw, month.month.cleaned, month.month.quarantine)

    assert found.holds
    assert found.says == "3 rows in, 1 cleaned, 2 quarantined"
    assert found.figures == {
        "rows in the source file": 3,
        "rows cleaned": 1,
        "rows quarantined": 2,
        "rows unaccounted for": 0,
    }


@pytest.mark.parametrize(("rows", "astray"), [(4, 1), (2, -1)])
def test_a_row_too_few_or_too_many_is_found(month: Outcome, rows: int, astray: int) -> None:
    found = findings.rows_are_conserved(replace(month.raw, rows=rows), month.month.cleaned, month.month.quarantine)

    assert not found.holds
    assert found.figures["rows unaccounted for"] == astray


def test_rows_of_another_raw_file_are_not_conserved_though_their_number_fits(month: Outcome) -> None:
    other = replace(month.raw, sha256="cd" * 32)
    found = findings.rows_are_conserved(other, month.month.cleaned, month.month.quarantine)

    assert not found.holds
    assert found.says.endswith("not all were made by one cleaning of the raw file that is here now")
    assert found.figures["rows unaccounted for"] == 0


def test_files_of_two_cleanings_are_not_conserved_though_their_rows_fit(month: Outcome, tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    lines = [trip(), trip(passenger_count="0"), "cut"]
    later = clean_lines(tmp_path / "later", lines, actions={"negative_total": "off"})
    found = findings.rows_are_conserved(month.raw, month.month.cleaned, later.month.quarantine)

    assert later.raw.sha256 == month.raw.sha256
    assert (found.holds, found.figures["rows unaccounted for"]) == (False, 0)


def test_a_cleaned_file_matches_its_contract(month: Outcome) -> None:
    found = findings.schema_matches_contract(YELLOW, month.month.cleaned)

    assert found.holds
    assert found.figures == {"columns": len(YELLOW.columns) + 1, "contract version": YELLOW.version}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: it.drop_columns(["extra"]), "extra: nothing instead of double"),
        (lambda it: it.append_column("news", pa.nulls(1)), "news: null instead of nothing"),
        (
            lambda it: it.set_column(3, "passenger_count", it["passenger_count"].cast(pa.int64())),
            "passenger_count: int64 instead of int32",
        ),
        (lambda it: it.select([*reversed(it.column_names)]), "the columns are in another order"),
        (
            lambda it: it.drop_columns(["extra", "mta_tax"]),
            "extra: nothing instead of double; mta_tax: nothing instead of double",
        ),
    ],
    ids=["one less", "one more", "another type", "another order", "several"],
)
def test_every_difference_from_the_contract_is_named(month: Outcome, change: Any, says: str, tmp_path: Path) -> None:
    file = rewritten(month.month.cleaned, tmp_path / "changed.parquet", change(month.cleaned))
    found = findings.schema_matches_contract(YELLOW, file)

    assert not found.holds
    assert found.says == says


def test_required_values_that_are_missing_are_counted(tmp_path: Path) -> None:
    lines = [trip(), trip(**{PICKUP: ""}), trip(**{PICKUP: " ", "extra": "1"})]
    outcome = clean_lines(tmp_path, lines, actions=LEAVES_ALL)
    found = findings.required_values_present(profiled(outcome, tmp_path), 3, why(outcome, tmp_path))

    assert not found.holds
    assert found.says == "pickup_datetime is null in 2 rows"
    assert found.figures == {"pickup_datetime missing": 2}


def test_a_file_of_which_no_row_is_left_does_not_hold(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(**{PICKUP: "01/05/2021 10:00"}), trip(**{PICKUP: "01/06/2021 10:00"})])
    found = findings.required_values_present(profiled(outcome, tmp_path), 2, why(outcome, tmp_path))

    assert not found.holds
    assert found.says == (
        "not one of 2 rows is left: turned away by missing_pickup 2, unreadable 2; pickup_datetime (published as "
        "tpep_pickup_datetime): 2 values are not a time as YYYY-MM-DD HH:MM:SS, such as '01/05/2021 10:00' in row 1"
    )


def test_a_word_that_stands_for_no_code_is_an_unknown_code(tmp_path: Path) -> None:
    lines = [trip(payment_type=word) for word in ("CASH", "Weird", "Weird", "2")] + [trip(VendorID="DDS")]
    found = findings.known_codes_only(profiled(clean_lines(tmp_path, lines), tmp_path))

    assert not found.holds
    assert found.says == "payment_type: 2 rows (Weird)"


def test_required_values_that_are_all_there_are_told(month: Outcome, tmp_path: Path) -> None:
    found = findings.required_values_present(profiled(month, tmp_path), 1, why(month, tmp_path))

    assert found.holds
    assert found.says == "pickup_datetime filled in all 1 rows"


def test_a_file_of_known_columns_only_is_found_so(month: Outcome, tmp_path: Path) -> None:
    found = findings.known_columns_only(month.month.cleaned, tmp_path)

    assert (found.holds, found.figures) == (True, {})


def test_every_unknown_column_is_named_with_its_type_and_up_to_three_of_its_values(tmp_path: Path) -> None:
    lines = [trip(extra=str(number)) + f",v{number % 5},," for number in range(10)]
    outcome = clean_lines(tmp_path, lines, f'{HEADER},surge,empty,"odd"'.replace('"', ""))
    found = findings.known_columns_only(outcome.month.cleaned, tmp_path)

    assert not found.holds
    kind, _, values = str(found.figures["surge"]).partition(": ")
    assert kind == "VARCHAR"
    assert len(values.split(", ")) == 3
    assert set(values.split(", ")) < {f"v{number}" for number in range(5)}
    assert found.figures["empty"] == found.figures["odd"] == "VARCHAR: never filled"
    assert found.says.startswith("kept in extra_columns: surge (VARCHAR): ")
    assert "Add them to yellow.yaml" in found.says


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda it: repr(it)[:20])
def test_the_values_of_an_unknown_column_are_shown_whatever_its_name(name: str, tmp_path: Path) -> None:
    outcome = unknown_in_parquet(tmp_path, {name: pa.array(["here", None])})
    found = findings.known_columns_only(outcome.month.cleaned, tmp_path)

    assert found.figures == {shown(name) if name.strip() else "(field 2)": "VARCHAR: here"}


def test_values_of_nested_columns_are_shown(tmp_path: Path) -> None:
    columns = {"places": pa.array([{"x": 1}, None]), "fees": pa.array([[1, 2], None]), "rate": pa.array([0.5, None])}
    found = findings.known_columns_only(unknown_in_parquet(tmp_path, columns).month.cleaned, tmp_path)

    assert found.figures == {
        "places": 'STRUCT(x BIGINT): {"x":1}',
        "fees": "BIGINT[]: [1,2]",
        "rate": "DOUBLE: 0.5",
    }


def test_codes_nobody_explains_are_counted_and_shown(tmp_path: Path) -> None:
    lines = [
        trip(),
        trip(payment_type="9", store_and_fwd_flag="X"),
        trip(payment_type="9", RatecodeID="77"),
        trip(payment_type="", RatecodeID="99", store_and_fwd_flag=""),
        trip(payment_type="0"),
    ]
    found = findings.known_codes_only(profiled(clean_lines(tmp_path, lines), tmp_path))

    assert not found.holds
    assert found.says == "rate_code_id: 1 rows (77), store_and_fwd_flag: 1 rows (X), payment_type: 2 rows (9)"
    assert found.figures == {
        "vendor_id, rows with unknown codes": 0,
        "rate_code_id, rows with unknown codes": 1,
        "store_and_fwd_flag, rows with unknown codes": 1,
        "payment_type, rows with unknown codes": 2,
    }


def test_known_codes_are_found_known(month: Outcome, tmp_path: Path) -> None:
    found = findings.known_codes_only(profiled(month, tmp_path))

    assert (found.holds, found.says) == (True, "4 columns hold known codes only")


@pytest.mark.parametrize("dataset", CATALOG.trips)
def test_a_month_without_rows_has_nothing_wrong_with_it(dataset: str, tmp_path: Path) -> None:
    contract = CATALOG.trips[dataset]
    header = "tpep_pickup_datetime" if dataset == "yellow" else "pickup_datetime"
    outcome = clean_lines(tmp_path, [], header, contract=contract)
    found = findings.profile(contract, JANUARY, outcome.month.cleaned, tmp_path)

    assert (found.rows, found.strays) == (0, 0)
    for finding in (
        findings.required_values_present(found, 0, why(outcome, tmp_path)),
        findings.known_codes_only(found),
        findings.pickups_inside_month(found),
    ):
        assert (finding.holds, finding.judged) == (True, False)


@pytest.mark.parametrize(("strays", "holds"), [(0, True), (1, True), (2, False), (1_000, False)])
def test_a_stray_pickup_in_a_thousand_is_usual_and_more_are_not(strays: int, holds: bool) -> None:
    found = findings.pickups_inside_month(
        Profile(rows=1_000, missing={}, strays=strays, unknown_codes={}, code_examples={})
    )

    assert found.holds is holds
    assert found.says.startswith(f"{strays:,} of 1,000 pickups")
    assert found.figures == {"pickups outside the month": strays, "share": strays / 1_000, "usual share": 0.001}


def test_strays_are_the_pickups_before_and_after_the_month(tmp_path: Path) -> None:
    times = [
        "2020-12-31 23:59:59", "2021-01-01 00:00:00", "2021-01-31 23:59:59.999999", "2021-02-01 00:00:00", "2041-01-05",
    ]  # fmt: skip
    outcome = clean_lines(tmp_path, [trip(**{PICKUP: when}) for when in times])

    assert profiled(outcome, tmp_path).strays == 3


def with_share(share: float) -> Lineage:
    return replace(LINEAGE, rules=YELLOW.actions(), rows_in=10_000, rows_quarantined=round(10_000 * share))


@pytest.mark.parametrize(
    ("now", "before", "holds"),
    [
        (0.05, [], True),
        (0.051, [], False),
        (0.01, [0.0, 0.0], True),
        (0.011, [0.0, 0.0], False),
        (0.03, [0.01, 0.01, 0.9], True),
        (0.031, [0.01, 0.01, 0.9], False),
        (0.06, [0.06, 0.06], False),
        (0.0, [0.5], True),
    ],
    ids=[
        "alone", "alone and many", "a little", "more than a little", "twice the median", "more than twice",
        "as many as before and many", "fewer",
    ],
)  # fmt: skip
def test_rejects_are_expected_up_to_twice_the_median_and_a_hundredth(
    now: float, before: list[float], holds: bool
) -> None:
    nothing = Rejects(by_rule={}, by_contract=0, columns=(), no_rows=0, line="")
    found = trends.rejects_within_expectation(
        YELLOW, with_share(now), [with_share(share) for share in before], lambda: nothing
    )

    assert found.holds is holds
    assert found.figures["share rejected"] == now
    assert found.figures["months compared with"] == len(before)


def test_the_rejects_of_a_month_without_rows_are_not_judged() -> None:
    empty = replace(LINEAGE, rows_in=0, rows_cleaned=0, rows_quarantined=0)
    found = trends.rejects_within_expectation(YELLOW, empty, [LINEAGE], never_asked)

    assert (found.holds, found.judged) == (True, False)
    assert found.figures["share rejected"] == 0


def test_a_parquet_file_has_as_many_rows_as_the_catalogue_says_or_the_difference_is_told(month: Outcome) -> None:
    publication = replace(month.raw.publication, url="file:///green_tripdata_2021-01.parquet")
    raw = replace(month.raw, publication=publication, contents="parquet", rows=76_518)

    assert trends.row_count_as_published(raw, 76_518).holds
    found = trends.row_count_as_published(raw, 76_520)
    assert not found.holds
    assert found.says == "76,518 rows, 76,520 in TLC's catalogue"
    assert found.figures == {"rows": 76_518, "rows in the catalogue": 76_520, "difference": -2}
    nothing = trends.row_count_as_published(raw, None)
    assert (nothing.holds, nothing.figures) == (True, {"rows": 76_518})
    assert "does not have the month" in nothing.says


def test_the_catalogue_of_parquet_files_says_nothing_of_a_csv(month: Outcome) -> None:
    found = trends.row_count_as_published(month.raw, 76_518)

    assert found.holds
    assert "the CSV edition is not in it" in found.says


@pytest.mark.parametrize(
    ("rows", "before", "holds"),
    [
        (5, [], True),
        (500, [1_000], True),
        (499, [1_000], False),
        (2_000, [1_000], True),
        (2_001, [1_000], False),
        (1_000, [900, 1_000, 90_000], True),
        (0, [1_000], False),
    ],
    ids=["alone", "half", "less than half", "twice", "more than twice", "one odd month before", "nothing"],
)
def test_a_month_is_in_the_trend_between_half_and_twice_the_median(rows: int, before: list[int], holds: bool) -> None:
    found = trends.row_count_in_trend(replace(LINEAGE, rows_in=rows), [replace(LINEAGE, rows_in=it) for it in before])

    assert found.holds is holds
    assert found.figures["rows"] == rows
    assert found.figures["months compared with"] == len(before)


def test_the_lake_holds_the_cleaned_file_byte_for_byte_or_it_is_told(month: Outcome, tmp_path: Path) -> None:
    cleaned = month.month.cleaned
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(cleaned.path.read_bytes())

    assert findings.lake_matches_cleaned(cleaned, ParquetFile(copy)).holds
    other = rewritten(cleaned, tmp_path / "other.parquet", month.cleaned)
    found = findings.lake_matches_cleaned(cleaned, other)
    assert not found.holds
    assert found.figures == {
        "SHA-256 of the cleaned file": cleaned.sha256,
        "SHA-256 of the lake's object": other.sha256,
    }


def test_a_table_that_agrees_with_the_lake_is_found_so_and_one_that_does_not_says_where(
    month: Outcome, tmp_path: Path
) -> None:
    in_lake = fingerprint_file(month.month.cleaned, YELLOW.stored_columns, tmp_path)
    assert in_lake.digits == month.month.cleaned.lineage.fingerprint
    same = findings.table_matches_lake(in_lake, in_lake, list)
    assert same.holds
    assert same.says == f"1 rows, fingerprint {in_lake.digits} in both"
    assert same.figures == {
        "rows in the table": 1,
        "rows in the lake": 1,
        "fingerprint of the table": in_lake.digits,
        "fingerprint of the lake's object": in_lake.digits,
    }

    in_table = Fingerprint(2, "0" * 15)
    measured = measure_file(month.month.cleaned, YELLOW.stored_columns, tmp_path)
    measures = Measures(rows=2, columns={**measured.columns, "extra": (1, Fraction(99))})
    found = findings.table_matches_lake(in_table, in_lake, lambda: measures.differences(measured))
    apart = f"fingerprint {'0' * 15} in the table, {in_lake.digits} in the lake"
    assert not found.holds
    assert found.says == f"2 rows against 1; extra: sum 99.0 against 3.0 ({apart})"
    assert (found.figures["rows in the table"], found.figures["rows in the lake"]) == (2, 1)

    swapped = findings.table_matches_lake(Fingerprint(1, "0" * 15), in_lake, list)
    assert not swapped.holds
    assert swapped.says == f"as many rows and the same sums, but values stand in other rows ({apart})"


def in_the_table(rows: int, money: float) -> Measures:
    return Measures(rows=rows, columns={"total_amount": (rows, Fraction(money))})


def test_money_beyond_all_money_is_no_reason_to_warn_of_the_view() -> None:
    assert ZoneTotals(200, "total_amount", money=1e300, turnover=1e300, zones=265, repeated=0).agree(
        in_the_table(200, 5)
    )
    assert not ZoneTotals(201, "total_amount", 1e300, 1e300, zones=265, repeated=0).agree(in_the_table(200, 5))


ONCE = ZoneTotals(200, "total_amount", money=8_423.5, turnover=8_500.0, zones=265, repeated=0)
THE_SAME = in_the_table(200, 8_423.5 + 1e-9)  # added up in another order


def test_a_view_with_zones_that_has_its_tables_rows_and_money_matches_it() -> None:
    found = zone_view_matches_table(YELLOW, ONCE, THE_SAME)

    assert found.holds
    assert found.says == "200 rows in the view and 200 in the table, total_amount 8,423.50 and 8,423.50 USD"
    assert found.figures == {
        "rows in the view": 200,
        "rows in the table": 200,
        "USD in the view": 8_423.5,
        "USD in the table": 8_423.5 + 1e-9,
        "zones in the lookup": 265,
        "zones whose id repeats": 0,
    }


@pytest.mark.parametrize(
    ("rows", "money", "turnover"),
    [(520, 21_727.1, 22_000.0), (199, 8_423.5, 8_500.0), (200, 8_423.51, 8_500.0), (0, 0.0, 0.0)],
    ids=["trips that are there twice", "a trip less", "a cent more", "nothing"],
)
def test_a_view_with_zones_that_differs_from_its_table_says_by_how_much_and_what_to_do(
    rows: int, money: float, turnover: float
) -> None:
    view = replace(ONCE, rows=rows, money=money, turnover=turnover)
    found = zone_view_matches_table(YELLOW, view, THE_SAME)

    assert not found.holds
    assert f"{rows:,} rows in the view and 200 in the table, total_amount {money:,.2f} and 8,423.50 USD" in found.says
    assert found.says.endswith("load the month again, which makes the view anew")


def test_amounts_that_outweigh_each_other_do_not_make_equal_rows_differ() -> None:
    # 1e17 + 3.5 - 1e17 is 0 or 3.5 or 16, as one adds it up.
    sums = (0.0, 3.5, 16.0)
    views = [replace(ONCE, rows=3, money=money, turnover=2e17) for money in sums]
    assert all(view.agree(in_the_table(3, money)) for view in views for money in sums)
    assert not any(view.agree(in_the_table(4, money)) for view in views for money in sums)


def test_a_dataset_without_money_is_compared_by_its_rows() -> None:
    view = replace(ONCE, money_column=None, money=0.0, turnover=0.0)
    assert zone_view_matches_table(YELLOW, view, THE_SAME).says == "200 rows in the view and 200 in the table"
    assert not zone_view_matches_table(YELLOW, view, in_the_table(100, 0.0)).holds


def test_a_view_without_zones_and_zones_that_repeat_are_told_where_the_view_matches() -> None:
    none = zone_view_matches_table(YELLOW, replace(ONCE, zones=0), THE_SAME)
    twice = zone_view_matches_table(YELLOW, replace(ONCE, zones=268, repeated=3), THE_SAME)

    assert none.holds
    assert none.says.endswith("; no zones were loaded yet, so the view names none")
    assert twice.holds
    assert twice.says.endswith("; 3 rows of the zone lookup repeat another's id: load the zones again")


def test_where_there_is_no_view_that_is_said_and_is_right_only_where_trips_have_no_places() -> None:
    nowhere = with_columns(YELLOW, tuple(it for it in YELLOW.columns if "location" not in it.name))
    missing = zone_view_matches_table(YELLOW, None, THE_SAME)
    not_meant = zone_view_matches_table(nowhere, None, THE_SAME)

    assert not missing.holds
    assert "there is no view with zones" in missing.says
    assert not_meant.holds
    assert "does not say where its trips were" in not_meant.says


# Many unknown columns


def of_unknown_columns(folder: Path, columns: int, rows: int, first_filled: int = 1) -> ParquetFile:
    """A cleaned file with unknown columns, all of them filled from some row on."""
    names = {f'x{number} "/~': "VARCHAR" for number in range(columns)}
    lineage = replace(LINEAGE, unknown_columns=names, rows_in=rows, rows_cleaned=rows, rows_quarantined=0)
    path = folder / "wide.parquet"
    values = engine.literal(json.dumps(dict.fromkeys(names, "here")))
    with engine.connect(folder) as con:
        con.execute(f"""
            COPY (SELECT if(row >= {first_filled}, {values}, NULL) AS extra_columns FROM range(1, {rows + 1}) AS _(row))
            TO {engine.literal(str(path))} {copy_options(lineage)}
        """)
    return ParquetFile(path)


@pytest.mark.parametrize("columns", [1_200, 5_000])
def test_thousands_of_unknown_columns_are_told_in_a_sentence_and_a_few_figures(columns: int, tmp_path: Path) -> None:
    found = findings.known_columns_only(of_unknown_columns(tmp_path, columns, rows=200), tmp_path)

    assert not found.holds
    assert found.says.startswith('kept in extra_columns: x0 "/~ (VARCHAR): here; x1 ')
    assert f"; and {columns - MOST_NAMED:,} more. Add them to yellow.yaml" in found.says
    assert len(found.says) < LONGEST_TEXT
    assert len(found.figures) == MOST_NAMED + 1
    assert found.figures["columns the contract does not know"] == columns


def test_a_value_that_comes_only_at_the_end_of_a_month_is_shown(tmp_path: Path) -> None:
    found = findings.known_columns_only(of_unknown_columns(tmp_path, 1, rows=50_000, first_filled=50_000), tmp_path)
    assert list(found.figures.values()) == ["VARCHAR: here"]


def test_a_value_that_comes_after_thousands_of_others_is_shown_if_it_is_usual(tmp_path: Path) -> None:
    lines = [trip() + ",early"] * 1_500 + [trip() + ",late"] * 1_600
    outcome = clean_lines(tmp_path, lines, f"{HEADER},surge")
    (figure,) = findings.known_columns_only(outcome.month.cleaned, tmp_path).figures.values()
    assert figure == "VARCHAR: late, early"


def test_names_types_and_values_of_any_length_come_to_a_sentence(tmp_path: Path) -> None:
    wide = pa.array([{f"member {number}": "v" * 50_000 for number in range(60)}, None])
    name = "n" * 3_000
    found = findings.known_columns_only(unknown_in_parquet(tmp_path, {name: wide}).month.cleaned, tmp_path)

    ((told, figure),) = found.figures.items()
    assert told == shown(name)
    assert len(str(figure)) < 1_000
    assert len(found.says) < LONGEST_TEXT


def test_every_difference_of_a_file_of_thousands_of_columns_is_counted_and_few_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"x{number}": pa.nulls(1) for number in range(5_000)}), path)
    found = findings.schema_matches_contract(YELLOW, ParquetFile(path))

    assert not found.holds
    assert found.says.endswith(f"and {5_000 + len(YELLOW.stored_columns) - MOST_NAMED:,} more")
    assert len(found.says) < LONGEST_TEXT


def test_a_code_of_megabytes_is_shown_cut(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(store_and_fwd_flag="N" * 100_000)])
    found = findings.known_codes_only(profiled(outcome, tmp_path))

    assert "NNN… (100,000 characters)" in found.says
    assert len(found.says) < 400
    assert outcome.column("store_and_fwd_flag") == ["N" * 100_000]


# What was turned away


def test_rows_a_run_turns_away_on_purpose_are_nothing_to_warn_of_and_those_of_the_contract_are(tmp_path: Path) -> None:
    on_purpose = clean_lines(
        tmp_path, [trip(), *[trip(trip_distance="0")] * 9], actions={"nonpositive_distance": "reject"}
    )
    now = on_purpose.month.cleaned.lineage
    found = trends.rejects_within_expectation(YELLOW, now, [with_share(0.0)], why(on_purpose, tmp_path))
    assert found.holds
    assert found.says == "90.000% rejected; no month near it to compare with; 0.000% by the contract's own rules"
    assert found.figures["months compared with"] == 0  # the one before was cleaned by other rules

    (tmp_path / "other").mkdir()
    lines = [trip(), *[trip(trip_distance="0")] * 9, trip(**{PICKUP: "12/18/2019 15:52"})]
    outcome = clean_lines(tmp_path / "other", lines, actions={"nonpositive_distance": "reject"})
    found = trends.rejects_within_expectation(YELLOW, outcome.month.cleaned.lineage, [], why(outcome, tmp_path))
    assert not found.holds
    assert "9.091% by the contract's own rules; more than 5% is not usual in any month" in found.says
    assert "1 values are not a time as YYYY-MM-DD HH:MM:SS, such as '12/18/2019 15:52'" in found.says


def test_a_month_nothing_can_be_compared_with_is_not_judged(month: Outcome) -> None:
    for found in (
        trends.row_count_in_trend(LINEAGE, []),
        trends.row_count_as_published(month.raw, 76_518),
        trends.row_count_as_published(month.raw, None),
    ):
        assert (found.holds, found.judged) == (True, False)
    assert trends.row_count_in_trend(LINEAGE, [LINEAGE]).judged


def test_tlc_s_catalogue_stands_in_for_missing_months_of_tlc_s_own_file_and_of_no_other() -> None:
    own = replace(LINEAGE, edition="parquet", source_url=f"{TLC_FILES}trip-data/yellow_tripdata_2021-01.parquet")
    found = trends.row_count_in_trend(own, [], published=[9_000])
    assert (found.judged, found.holds) == (True, False)
    assert found.says == "1,000 rows, against 9,000 in the 1 months around it in TLC's catalogue"
    for other in (LINEAGE, replace(own, source_url="file:///an_extract.parquet")):
        assert not trends.row_count_in_trend(other, [], published=[9_000]).judged
    assert trends.row_count_in_trend(own, [LINEAGE], published=[9_000]).holds, "what is here counts for more"
