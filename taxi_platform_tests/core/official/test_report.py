"""TLC's own totals: read as they are published, and shipped as they were."""

from __future__ import annotations

import pytest

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.official.report import Reported, read_report, shipped_report

HEADER = "Month/Year,License Class,       Trips Per Day       ,      Farebox Per Day      ,       Unique Drivers       "
DECEMBER = Month(2019, 12)


def report_of(*lines: str, header: str = HEADER) -> str:
    return "\n".join([header, *lines, ""])


def test_a_report_is_read_whatever_blanks_and_separators_stand_in_it() -> None:
    lines = ['2022-03,Green,"2,531","42,436","1,133"', '2022-03,FHV - High Volume,"595,270",    ,71']
    report = read_report("\ufeff" + report_of(*lines, ",,,,", "2022-02,Green, - ,-,1"))

    assert report.of("green", Month(2022, 3)) == Reported(31, 2_531, 1, 42_436)
    assert report.of("fhvhv", Month(2022, 3)) == Reported(31, 595_270, 1, None)
    assert report.of("green", Month(2022, 2)) is None
    assert report.of("yellow", Month(2022, 3)) is None


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (report_of(header="Month/Year,License Class,Farebox Per Day"), "it has no column 'Trips Per Day'"),
        ("", "it has no column 'Month/Year'"),
        (report_of("2022-03,Green,about 9,1"), "line 2 has 'about 9' where a whole number is due"),
        (report_of("2022-03,Green,9,1", "2022-03,Green,8,1"), "line 3 is of Green 2022-03, and so is another"),
        (report_of("March,Green,9,1"), "is not a month"),
    ],
    ids=["no trips", "empty", "words", "twice", "no month"],
)
def test_what_is_no_report_is_refused_by_its_line(text: str, cause: str) -> None:
    with pytest.raises(TaxiPlatformError, match=cause):
        read_report(text)


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
