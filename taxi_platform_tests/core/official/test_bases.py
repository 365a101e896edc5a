"""Trips against the report of bases: in all, by base, and by company where a dataset has those."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog.published import published_rows
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.findings import Finding
from taxi_platform.core.month import Month
from taxi_platform.core.official.at_hand import OfficialFigures
from taxi_platform.core.official.bases import judge_bases, read_base_report, reported_by_base, trips_by_base
from taxi_platform.core.official.finding import agrees_with_tlc_report
from taxi_platform.core.official.verdict import Judgement, Verdict
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source.files import Publication, RawFile
from taxi_platform_tests.core.cleaning.months import CATALOG, REAL_DATA, raw_file

CONTRACT = CATALOG.reports["fhv_base_report"]
MONTH = Month(2021, 3)
HEADER = (
    "Base License Number,Base Name,DBA,Year,Month,Month Name,Date,Total Dispatched Trips,"
    "Total Dispatched Shared Trips,Unique Dispatched Vehicles,,\n"
)
REAL = REAL_DATA / "reports" / "FHV_Base_Aggregate_Report.csv"


def report_of(folder: Path, *lines: str) -> pa.Table:
    path = folder / "fhv_base_report.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return read_base_report(CONTRACT, raw_file(path))


def test_a_base_in_small_letters_is_the_same_base_and_companies_are_those_of_fhvhv(tmp_path: Path) -> None:
    report = report_of(
        tmp_path,
        'B00001,"ONE, INC",,2021,3,March,March-2021,"1,000",0,9,,',
        "b00001,ONE INC,,2021,3,March,March-2021,5,0,1,,",
        "B00002,TWO INC,TWO,2021,4,April,April-2021,7,0,1,,",
        "UBER,UBER,UBER,2021,3,March,March-2021,900,0,9,,",
        "UBER,UBER,UBER,2019,1,January,January-2019,90,0,9,,",
        "B00001,ONE,,2019,1,January,January-2019,10,0,9,,",
    )
    assert reported_by_base("fhv", MONTH, report) == {"B00001": 1_005}
    assert reported_by_base("fhvhv", MONTH, report) == {"UBER": 900}
    assert reported_by_base("fhv", Month(2019, 1), report) == {"UBER": 90, "B00001": 10}
    assert reported_by_base("fhvhv", Month(2019, 1), report) == reported_by_base("green", MONTH, report) == {}


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("B1,ONE,,2021,13,,,5,0,1,,", "report_month cannot be made of its year and month: month must be in 1..12"),
        ("B1,ONE,,2021,,,,5,0,1,,", "month is empty in line 2"),
        ("B1,ONE,,2021,1,,,5,0,1,,\nB1,ONE,,2021,1,,,6,0,1,,", r"within a report_month.*2021-01-01 B1 \(2 times\)"),
    ],
    ids=["no month", "without", "twice"],
)
def test_what_is_no_report_of_bases_is_refused(tmp_path: Path, line: str, cause: str) -> None:
    with pytest.raises(TaxiPlatformError, match=cause):
        report_of(tmp_path, line)


def judged(trips: Mapping[str, int], reported: Mapping[str, int], month: Month = MONTH) -> Judgement:
    found = judge_bases("fhv", month, trips, reported)
    assert found is not None
    return found


def test_a_base_that_is_lost_is_named_and_warned_of_however_little_the_whole_lacks() -> None:
    reported = {"B00001": 60_000, "B00002": 37_000, "B00003": 3_000}
    assert judged(reported, reported).says == "100,000 rows, 100,000 trips in the report of bases (+0.00%): they agree"

    lost = judged({"B00001": 60_000, "B00002": 37_000}, reported)
    assert (lost.verdict, lost.is_near) == (Verdict.LACKS, False)
    assert lost.says.endswith("the file lacks trips, about 3,000; B00003 has 0 of 3,000")

    less = judged({"B00001": 52_000, "B00002": 37_000, "B00003": 3_000}, reported)
    assert (less.verdict, less.is_near) == (Verdict.LACKS, False)
    assert less.says.endswith("about 8,000; B00001 has 52,000 of 60,000")

    assert judged({"B00001": 106_000}, reported).verdict is Verdict.MORE
    assert judged({"B00001": 300}, reported).verdict is Verdict.UNJUDGED
    assert judge_bases("fhv", MONTH, {"B00001": 5}, {}) is None


def test_until_2019_trips_of_companies_stand_under_bases_that_nobody_has_reported() -> None:
    found = judged({"B00001": 100, "B02764": 900}, {"UBER": 900, "B00001": 100}, Month(2018, 5))
    assert (found.verdict, found.is_near) == (Verdict.AGREES, True)


def test_trips_of_a_file_are_counted_by_base_and_by_company(tmp_path: Path) -> None:
    path = tmp_path / "month.parquet"
    bases = {"dispatching_base_num": ["b00001", " B00001", None, "B02764"]}
    pq.write_table(pa.table(bases | {"hvfhs_license_num": ["HV0003", "HV0003", "HV0005", "HV9999"]}), path)
    files = [ParquetFile(path)]
    assert trips_by_base(CATALOG.trips["fhv"], files, tmp_path) == {"B00001": 2, "no base": 1, "B02764": 1}
    assert trips_by_base(CATALOG.trips["fhvhv"], files, tmp_path) == {"UBER": 2, "LYFT": 1, "HV9999": 1}
    assert trips_by_base(CATALOG.trips["green"], files, tmp_path) == {}


def test_figures_of_the_sample_source_are_never_held_against_a_real_month(tmp_path: Path) -> None:
    figures = OfficialFigures(tmp_path)
    rows = report_of(tmp_path, "B00001,ONE,,2021,3,,,5,0,1,,")
    figures.keep(CONTRACT, rows, "sample://fhv_base_report.csv, as of 2026-11-25")
    assert figures.by_base("fhv", MONTH) == {}
    path = figures.keep(CONTRACT, rows, "https://example.com/fhv_base_report.csv, as of 2026-11-25")
    assert figures.by_base("fhv", MONTH) == {"B00001": 5}
    path.write_bytes(b"PAR1 and no more")
    assert figures.by_base("fhv", MONTH) == {}


@pytest.fixture(scope="module")
def real_figures(tmp_path_factory: pytest.TempPathFactory) -> OfficialFigures:
    """A data folder with the real report of bases."""
    if not REAL.exists():
        pytest.skip("TLC's files are not beside the project")
    figures = OfficialFigures(tmp_path_factory.mktemp("data"))
    figures.keep(CONTRACT, read_base_report(CONTRACT, raw_file(REAL)), "NYC Open Data, spring 2022")
    return figures


def real(figures: OfficialFigures, dataset: str, month: Month) -> Judgement:
    """TLC's own rows, in all, against the real report."""
    total = sum(figures.by_base(dataset, month).values())
    found = judge_bases(dataset, month, {"all": published_rows(dataset, month) or 0}, {"ALL": total})
    assert found is not None
    return found


def test_the_real_report_of_bases_agrees_with_every_month_of_fhvhv_also_where_the_monthly_report_does_not(
    real_figures: OfficialFigures,
) -> None:
    apart = {str(it): real(real_figures, "fhvhv", it).share for it in Month(2019, 2).until(Month(2022, 3))}
    assert max(map(abs, apart.values())) < 0.0002
    assert apart["2021-09"] == 0.0  # of which the monthly report says 17 % less


def test_the_real_report_of_bases_names_two_months_of_fhv_that_are_off(real_figures: OfficialFigures) -> None:
    found = {str(it): real(real_figures, "fhv", it) for it in Month(2015, 1).until(Month(2022, 3))}
    off = {month: f"{it.share:+.1%}" for month, it in found.items() if abs(it.share) > 0.05}
    assert off == {"2015-05": "+28.9%", "2019-01": "-7.9%"}


def test_where_the_bases_agree_with_the_file_nobody_is_warned_of_the_monthly_report(tmp_path: Path) -> None:
    """As of fhvhv 2021-09, whose monthly report is off by 15 %, and whose file has what the companies reported."""
    contract, path = CATALOG.trips["fhvhv"], tmp_path / "month.parquet"
    times = pa.array([datetime(2021, 3, 1 + it % 31, 12) for it in range(3_100)], pa.timestamp("us"))
    pq.write_table(pa.table({"pickup_datetime": times, "hvfhs_license_num": ["HV0003"] * 3_100}), path)
    source = Publication("https://example.com/fhvhv_tripdata_2021-03.parquet")
    raw = RawFile(path, source, "", path.stat().st_size, 3_100, "utf-8", "")
    figures, where = OfficialFigures(tmp_path), "https://example.com, as of 2026-11-25"
    monthly = CATALOG.reports["tlc_monthly_report"]
    schema = pa.schema([(it.name, it.type.arrow) for it in monthly.columns])
    months = [{"report_month": it.first_day, "license_class": "FHV - High Volume"} for it in (MONTH, MONTH.next)]
    rows = [it | {"trips_per_day": 85} for it in months]
    figures.keep(monthly, pa.Table.from_pylist(rows, schema), where)

    def found() -> Finding:
        files = [ParquetFile(path)]
        return agrees_with_tlc_report(contract, MONTH, raw, files, list, figures, tmp_path / "spill")

    alone = found()
    assert (alone.holds, alone.figures["verdict"]) == (False, "the file has more trips")
    figures.keep(CONTRACT, report_of(tmp_path, "UBER,UBER,UBER,2021,3,,,3100,0,1,,"), where)
    vouched = found()
    assert (vouched.holds, vouched.figures["verdict by bases"]) == (True, "agrees")
    assert "3,100 rows, 3,100 trips in the report of bases (+0.00%): they agree: it is the monthly" in vouched.says
    figures.keep(CONTRACT, report_of(tmp_path, "UBER,UBER,UBER,2021,3,,,4000,0,1,,"), where)
    assert not found().holds
