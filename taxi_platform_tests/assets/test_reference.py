"""The tables without months: the zone lookup of 265 rows, and what TLC reports, which months are held against."""

import re
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month
from taxi_platform.core.source.sample_reports import base_report, monthly_report
from taxi_platform_tests.assets.platform import Platform, check_of, failure_of, figures_of, metadata_of

DOCS = Path(__file__).parents[2] / "docs"
PAGE, COMMANDS = ((DOCS / f"{it}.md").read_text(encoding="utf-8") for it in ("official-figures", "commands"))
NAME, REPORTS = "agrees_with_tlc_report", ("tlc_monthly_report", "fhv_base_report")
ZONES = ["reference", "taxi_zones"]


def test_the_zones_reach_the_warehouse_and_a_rerun_replaces_them(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data")
    for _ in range(2):
        result = platform.run("taxi_zones_job")
        assert metadata_of(result, *ZONES)["dagster/row_count"] == 265
    assert platform.sql("SELECT count(*), count(DISTINCT location_id), max(location_id) FROM taxi.taxi_zones") == [
        (265, 265, 265)
    ]
    # "N/A" is what TLC calls a borough, not a missing value.
    assert platform.sql("SELECT borough, zone FROM taxi.taxi_zones WHERE location_id = 265") == [
        ("N/A", "Outside of NYC")
    ]


def test_the_zones_can_be_loaded_as_rows(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data")
    platform.run("taxi_zones_job")
    frame = platform.defs.load_asset_value(ZONES, instance=platform.instance)
    table = platform.defs.load_asset_value(ZONES, python_type=pa.Table, instance=platform.instance)
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(table, pa.Table)
    assert len(frame) == table.num_rows == 265


def test_a_lookup_that_is_not_what_its_contract_says_never_replaces_the_one_that_is(tmp_path: Path) -> None:
    Platform(tmp_path / "data").run("taxi_zones_job")
    source = tmp_path / "source"
    source.mkdir()
    (source / "taxi_zone_lookup.csv").write_text("LocationID,Borough,Zone,service_zone\n1,EWR,Newark Airport,EWR\n")
    platform = Platform(tmp_path / "data", source=str(source))

    message = failure_of(platform.run("taxi_zones_job", succeeds=False))

    assert "taxi_zones: the file is not what its contract says" in message
    assert "it has 1 rows, not 265" in message
    assert platform.sql("SELECT count(*) FROM taxi.taxi_zones") == [(265,)]


def test_a_lookup_whose_ids_repeat_is_refused_and_the_zones_that_are_there_stay(tmp_path: Path) -> None:
    Platform(tmp_path / "data").run("taxi_zones_job")
    source = tmp_path / "source"
    write_lookup_of_shapes(source)
    platform = Platform(tmp_path / "data", source=str(source))

    message = failure_of(platform.run("taxi_zones_job", succeeds=False))

    for told in ("taxi_zones: ", str(source / "taxi_zone_lookup.csv"), "56 (2 times), 103 (3 times)", "Fix: give each"):
        assert told in message
    assert platform.sql("SELECT count(*), count(DISTINCT location_id) FROM taxi.taxi_zones") == [(265, 265)]


def write_lookup_of_shapes(folder: Path) -> None:
    """The lookup people make of TLC's shapefile, in which 56 stands for 57, and 103 for 104 and 105, too."""
    shapes = {57: 56, 104: 103, 105: 103}
    lines = [f"{shapes.get(number, number)},Borough,Zone {number},Boro Zone" for number in range(1, 266)]
    folder.mkdir()
    (folder / "taxi_zone_lookup.csv").write_text("\n".join(["LocationID,Borough,Zone,service_zone", *lines]))


def test_every_reference_table_comes_in_one_job_and_the_page_of_official_figures_does_what_it_says(
    tmp_path: Path,
) -> None:
    platform = Platform(tmp_path / "data", sample_rows=500)
    result = platform.run("references_job")
    rows = {it: metadata_of(result, "reference", it).get("dagster/row_count") for it in ("taxi_zones", *REPORTS)}
    assert rows == {"taxi_zones": 265, "tlc_monthly_report": 720, "fhv_base_report": 4_480}
    assert metadata_of(result, "reference", "published_rows")["months"] == 0  # the sample source is not TLC

    platform.run("fhv_trips_job", "2021-01")
    (query,) = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    named = platform.sql(query)
    assert len(named) == 5
    assert any(str(name).startswith("SAMPLE BASE ") for name, _ in named)
    assert sum(count for _, count in platform.sql(query.replace("LIMIT 5", ""))) == (
        platform.table("fhv", "2021-01").num_rows
    )
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert {*blocks} <= {*re.findall(r"^```bash\n(.*?)^```$", COMMANDS, re.MULTILINE | re.DOTALL)}


def test_a_month_is_held_against_the_report_that_was_fetched_last(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    green, month = load_catalog().trips["green"], Month(2021, 1)
    write_month(green, month, 2_000, source / f"green_tripdata_{month}.csv.gz")

    def published(dollars: str) -> None:
        header, *_ = monthly_report(1).decode().splitlines()
        line = f'2021-01,Green,65,"{dollars}",,,,,,,,,,'
        (source / "data_reports_monthly.csv").write_text(f"{header}\n{line}\n")

    published("1")
    (source / "fhv_base_report.csv").write_bytes(base_report(1))
    platform = Platform(tmp_path / "data", source=str(source))
    check = check_of(platform.run("green_to_lake_job", str(month)), NAME)
    assert check.passed
    assert "an extract or a sample" in (check.description or "")  # of the report that is shipped

    platform.run("tlc_reports_job")
    check = check_of(platform.run("green_to_lake_job", str(month)), NAME)
    figures = figures_of(check)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "2,000 rows, 2,015 trips in TLC's report (-0.74%): they agree as exactly as it tells" in (
        check.description or ""
    )
    assert (figures["verdict"], figures["verdict on money"]) == ("agrees", "the file has more money")
    assert figures["source"].startswith(f"{source / 'data_reports_monthly.csv'}, as of 20")

    published(f"{round(figures['money, USD'] / month.days):,}")
    assert metadata_of(platform.run("tlc_reports_job"), "reference", "tlc_monthly_report")["changed"] is True
    check = check_of(platform.run("green_to_lake_job", str(month)), NAME)
    assert check.passed
    assert "they agree" in (check.description or "")
