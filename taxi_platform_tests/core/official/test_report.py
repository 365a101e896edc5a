"""TLC's own totals: read as they are published, and shipped as they were."""

from __future__ import annotations

import pytest

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.official.report import FILE, TABLE, Report, Reported, report_of, shipped_report
from taxi_platform.core.reference import read_reference_text
from taxi_platform_tests.core.cleaning.months import CATALOG

HEADER = (
    "Month/Year,License Class,       Trips Per Day       ,      Farebox Per Day      ,       Unique Drivers       ,"
    "Unique Vehicles,Vehicles Per Day,Avg Days Vehicles on Road,Avg Hours Per Day Per Vehicle,"
    "Avg Days Drivers on Road,Avg Hours Per Day Per Driver,Avg Minutes Per Trip,"
    "Percent of Trips Paid with Credit Card,Trips Per Day Shared"
)
REST = ',"1,133",5,4,21.5,6.7,21.2,6.6,18,66%,-'
DECEMBER = Month(2019, 12)


def report_of_lines(*lines: str, header: str = HEADER) -> Report:
    text = "\n".join([header, *(line + REST for line in lines), ",,,,", ""])
    return report_of(read_reference_text(CATALOG.reports[TABLE], text, FILE))


def test_a_report_is_read_whatever_blanks_and_separators_stand_in_it() -> None:
    lines = ['2022-03,Green,"2,531","42,436"', '2022-03,FHV - High Volume,"595,270",    ', "2022-02,Green, - ,-"]
    report = report_of_lines(*lines, header="\ufeff" + HEADER)

    assert report.of("green", Month(2022, 3)) == Reported(31, 2_531, 1, 42_436)
    assert report.of("fhvhv", Month(2022, 3)) == Reported(31, 595_270, 1, None)
    assert report.of("green", Month(2022, 2)) is None
    assert report.of("yellow", Month(2022, 3)) is None


@pytest.mark.parametrize(
    ("lines", "header", "cause"),
    [
        ([], "Month/Year,License Class,Farebox Per Day", "none of them is trips_per_day"),
        (["2022-03,Green,about 9,1"], HEADER, "trips_per_day is 'about 9' in line 2, which is not a whole number"),
        (["2022-03,Green,9,1", "2022-03,Green,8,1"], HEADER, r"2022-03-01 Green \(2 times\)"),
        (["March,Green,9,1"], HEADER, "report_month is 'March' in line 2, which is not a date"),
        (["2022-03,,9,1"], HEADER, "license_class is empty in line 2"),
        ([], HEADER, "it has no rows"),
    ],
    ids=["no trips", "words", "twice", "no month", "no class", "no rows"],
)
def test_what_is_no_report_is_refused_by_its_line(lines: list[str], header: str, cause: str) -> None:
    with pytest.raises(TaxiPlatformError, match=cause):
        report_of_lines(*lines, header=header)


def test_until_2019_the_files_of_fhv_hold_all_classes_and_then_nobody_can_tell_which() -> None:
    whole = shipped_report().of("fhv", Month(2018, 12))
    assert whole is not None
    assert (whole.classes, whole.trips, whole.rounding) == (4, 23_847_556, 62.0)
    assert shipped_report().of("fhv", Month(2019, 2)) is None


def test_the_shipped_report_is_the_one_tlc_published_in_spring_2022() -> None:
    rows = shipped_report().rows
    assert {min(month for _, month in rows), max(month for _, month in rows)} == {"2010-01", "2022-03"}
    assert len(rows) == 596
    assert rows["Green", "2022-03"] == (2_531, 42_436)
    assert rows["FHV - High Volume", "2022-03"] == (595_270, None)
