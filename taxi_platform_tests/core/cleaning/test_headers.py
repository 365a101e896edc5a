"""Each value is in the column its name says: headers that lack names, have too many, or come again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform_tests.core.cleaning.months import (
    CATALOG,
    GREEN,
    HEADER,
    TRIP,
    YELLOW,
    clean_bytes,
    clean_lines,
    trip,
)


def without(name: str) -> str:
    return ",".join(it for it in TRIP if it != name)


@pytest.mark.parametrize("name", [*TRIP][3:])
@pytest.mark.parametrize("last", ["2.5", ""], ids=["filled", "empty"])
def test_a_header_that_lacks_a_name_never_shifts_the_values_behind_it(name: str, last: str, tmp_path: Path) -> None:
    lines = [trip(congestion_surcharge=last, extra=str(number)) for number in range(60)]
    try:
        outcome = clean_lines(tmp_path, lines, without(name))
    except TaxiPlatformError as error:
        assert "header" in str(error)
        return
    # Without its last name it is the header of an earlier year, and the field without a name is empty.
    assert (name, last) == ("congestion_surcharge", "")
    assert outcome.column("total_amount") == [11.8] * 60


@pytest.mark.parametrize("rows", [2, 60, 500])
def test_a_header_with_a_name_too_many_is_refused(rows: int, tmp_path: Path) -> None:
    with pytest.raises(TaxiPlatformError, match="its header names 19 fields, and its rows have 18"):
        clean_lines(tmp_path, [trip()] * rows, "surge," + HEADER)


@pytest.mark.parametrize("commas", [1, 2, 5])
@pytest.mark.parametrize("blank", ["", " "])
def test_a_header_may_end_with_commas(commas: int, blank: str, tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(extra=str(it)) for it in range(60)], HEADER + f",{blank}" * commas)
    assert outcome.column("extra") == [float(it) for it in range(60)]
    assert outcome.unknown_columns == {}


def test_rows_may_end_with_a_comma_where_the_header_is_one_of_tlcs(tmp_path: Path) -> None:
    outcome = clean_lines(tmp_path, [trip(extra=str(it)) + "," for it in range(60)])
    assert outcome.column("extra") == [float(it) for it in range(60)]


@pytest.mark.parametrize("layout", [it for c in (GREEN, YELLOW) for it in c.layouts if it.junk_fields], ids=str)
def test_a_few_rows_that_fill_the_junk_behind_an_old_header_are_turned_away(layout: object, tmp_path: Path) -> None:
    contract = GREEN if layout in GREEN.layouts else YELLOW
    (it,) = [it for it in contract.layouts if it is layout]
    row = ["2014-01-05 10:00:00" if "pickup_datetime" in name.lower() else "" for name in it.header]
    good = ",".join([*row, *[""] * it.junk_fields])
    shifted = ",".join([*row, "x", *[""] * (it.junk_fields - 1)])
    outcome = clean_lines(
        tmp_path, [good] * 300 + [shifted] + [good] * 300, ",".join(it.header), contract=contract, key=str(it.since)
    )
    assert (outcome.cleaned.num_rows, [row["row_number"] for row in outcome.turned_away]) == (600, [301])


REVERSED = ",".join(reversed(TRIP))
OTHER_ORDER = HEADER.replace("fare_amount,extra", "extra,fare_amount")


@pytest.mark.parametrize("before", [1, 30, 5_000])
@pytest.mark.parametrize(
    "second",
    [
        REVERSED,
        OTHER_ORDER,
        OTHER_ORDER.upper(),
        without("congestion_surcharge"),
        HEADER + ",airport_fee",
        "\ufeff" + OTHER_ORDER,
    ],
    ids=["reversed", "two exchanged", "upper case", "of an earlier year", "of a later year", "with a mark"],
)
@pytest.mark.parametrize("actions", [{}, {"unreadable": "warn"}], ids=["rejecting", "keeping"])
def test_a_second_header_that_is_another_refuses_the_month(
    before: int, second: str, actions: dict[str, str], tmp_path: Path
) -> None:
    lines = [*[trip()] * before, second, *[trip()] * 30]
    with pytest.raises(TaxiPlatformError, match=f"row {before + 1:,} is a second header"):
        clean_lines(tmp_path, lines, actions=actions)


@pytest.mark.parametrize("again", [HEADER, HEADER.upper(), HEADER.replace(",", ", "), "\ufeff" + HEADER])
def test_the_same_header_again_is_told_and_turned_away(again: str, tmp_path: Path) -> None:
    lines = [*[trip(extra="1")] * 300, again, *[trip(extra="2")] * 300, "cut", again]
    outcome = clean_bytes(tmp_path, "\n".join([HEADER, *lines, ""]).encode())

    assert outcome.column("extra") == [1.0] * 300 + [2.0] * 300
    assert [row["row_number"] for row in outcome.turned_away] == [301, 602, 603]
    (told,) = outcome.month.cleaned.lineage.told
    assert told == "the header stands again in 2 rows, which are in the quarantine: 301, 603"


@pytest.mark.parametrize("layout", [it for c in (GREEN, YELLOW) for it in c.layouts if it.junk_fields], ids=str)
@pytest.mark.parametrize("commas", ["", ",", ",,"], ids=["as the first", "one comma more", "two commas more"])
def test_the_same_header_again_is_told_where_rows_are_wider_than_it(
    layout: object, commas: str, tmp_path: Path
) -> None:
    contract = GREEN if layout in GREEN.layouts else YELLOW
    (it,) = [it for it in contract.layouts if it is layout]
    row = ["2014-01-05 10:00:00" if "pickup_datetime" in name.lower() else "" for name in it.header]
    good, header = ",".join([*row, *[""] * it.junk_fields]), ",".join(it.header)
    lines = [*[good] * 30, header + commas, *[good] * 30]
    outcome = clean_lines(tmp_path, lines, header, contract=contract, key=str(it.since))
    assert outcome.month.cleaned.lineage.told == ["the header stands again in 1 rows, which are in the quarantine: 31"]
    assert (outcome.cleaned.num_rows, [row["row_number"] for row in outcome.turned_away]) == (60, [31])


def test_a_name_among_the_values_is_no_header(tmp_path: Path) -> None:
    odd = [trip(tpep_pickup_datetime="extra"), trip(store_and_fwd_flag="VendorID", extra="x"), "VendorID,1"]
    outcome = clean_lines(tmp_path, [*[trip()] * 10, *odd])
    assert outcome.cleaned.num_rows == 10
    assert outcome.month.cleaned.lineage.told == []


def test_a_file_without_a_header_is_refused_with_what_it_has_for_one(tmp_path: Path) -> None:
    with pytest.raises(TaxiPlatformError, match="no column for pickup_datetime; it has 1, 2021-01-05 10:00:00"):
        clean_lines(tmp_path, [trip()] * 5, trip())


@pytest.mark.parametrize(
    ("separator", "called"), [(";", "semicolons"), ("\t", "tabs"), ("|", "`|`")], ids=["semicolon", "tab", "bar"]
)
def test_fields_that_something_else_than_commas_separates_are_told_by_what_does(
    separator: str, called: str, tmp_path: Path
) -> None:
    with pytest.raises(TaxiPlatformError, match=f"its fields are separated by {re.escape(called)}"):
        clean_lines(tmp_path, [trip().replace(",", separator)] * 5, HEADER.replace(",", separator))


def test_a_file_whose_header_is_missing_is_told_what_to_write_before_it(tmp_path: Path) -> None:
    with pytest.raises(TaxiPlatformError, match="the header is missing") as refused:
        clean_lines(tmp_path, [trip()] * 5, trip(VendorID="2"))
    assert f"write the month's header before it, {HEADER}" in str(refused.value)


@pytest.mark.parametrize("first", ["# made by a program", ",,,", "NYC TLC trips,January"])
def test_a_line_before_the_header_is_shown_in_the_error(first: str, tmp_path: Path) -> None:
    with pytest.raises(TaxiPlatformError, match=f"the first line is no header.*{re.escape(first)}"):
        clean_lines(tmp_path, [HEADER, *[trip()] * 5], first)


@pytest.mark.parametrize("missing", ["dropOff_datetime", "PUlocationID", "DOlocationID"])
def test_a_header_that_lacks_a_name_is_none_because_an_earlier_years_is_a_part_of_it(
    missing: str, tmp_path: Path
) -> None:
    names = ["dispatching_base_num", "pickup_datetime", "dropOff_datetime", "PUlocationID", "DOlocationID", "SR_Flag"]
    row = "B00100,2019-03-01 00:00:00,2019-03-01 01:00:00,1,200,"
    with pytest.raises(TaxiPlatformError, match="header"):
        clean_lines(
            tmp_path,
            [row] * 60,
            ",".join(it for it in names if it != missing),
            contract=CATALOG.trips["fhv"],
            key="2019-03",
        )
