"""The page as people use it: a real browser opens it from the disk, without a network."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect, sync_playwright

from taxi_platform.report.charts import charts_of
from taxi_platform.report.figures import Figures
from taxi_platform_tests.assets.platform import Platform
from taxi_platform_tests.core.cleaning.months import REAL_DATA
from taxi_platform_tests.test_browser import CHROMIUM, FLAGS, ROOT

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: install Debian's package chromium to run this"),
    pytest.mark.timeout(300),
]
MONTHS = ("2020-10", "2020-11")
EVIL = "</script><script>document.title = 'taken'</script><b id=evil>"
ColorScheme = Literal["light", "dark"]
CHARTS = ["map", "days", "hours", "payments", "flows"]
SCREENSHOTS = os.environ.get("SCREENSHOTS")


@dataclass
class Opened:
    """The page, opened.

    Attributes:
        page: In the browser.
        said: What the browser complained of.
        asked: What it asked of a network.
    """

    page: Page
    said: list[str] = field(default_factory=list[str])
    asked: list[str] = field(default_factory=list[str])

    def signal(self, name: str) -> Any:
        return self.page.evaluate("name => charts.map.signal(name)", name)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Two months of two datasets, their marts and their page."""
    platform = Platform(tmp_path_factory.mktemp("page") / "data", sample_rows=3_000)
    platform.run("taxi_zones_job")
    platform.run("taxi_zone_shapes_job")
    for dataset in ("green", "yellow"):
        for month in MONTHS:
            platform.run(f"{dataset}_trips_job", month)
    tags = {"dagster/asset_partition_range_start": MONTHS[0], "dagster/asset_partition_range_end": MONTHS[-1]}
    job = platform.defs.resolve_job_def("report_job")
    assert job.execute_in_process(instance=platform.instance, tags=tags).success
    return platform


@pytest.fixture(scope="module")
def of_evil(platform: Platform) -> Path:
    """The page of a zone whose name would be a part of it."""
    ((name,),) = platform.sql("SELECT zone FROM taxi.taxi_zones WHERE location_id = 74")
    rename = "UPDATE taxi.taxi_zones SET zone = '{}' WHERE location_id = 74"
    page, evil = platform.data_dir / "report" / "index.html", platform.data_dir / "report" / "evil.html"
    platform.sql(rename.format(EVIL.replace("'", "''")))
    platform.run("page_job")
    page.rename(evil)
    platform.sql(rename.format(name.replace("'", "''")))
    platform.run("page_job")
    return evil


@pytest.fixture(scope="module")
def of_nothing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a warehouse that is not there."""
    platform = Platform(tmp_path_factory.mktemp("nothing") / "data")
    platform.run("page_job")
    return platform.data_dir / "report" / "index.html"


@pytest.fixture(scope="module")
def pictured(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page whose picture is taken: of real months where they are beside the project, and pictures are wanted."""
    if not (SCREENSHOTS and REAL_DATA.exists()):
        return page_of(platform)
    source = tmp_path_factory.mktemp("real") / "source"
    source.mkdir()
    for path in (*REAL_DATA.glob("trips/green_tripdata_2020-1*.csv.gz"), *REAL_DATA.glob("zones/taxi_zone*")):
        shutil.copy(path, source)
    real = Platform(source.with_name("data"), source=str(source))
    for job in ("taxi_zones_job", "taxi_zone_shapes_job"):
        real.run(job)
    for month in ("2020-10", "2020-11", "2020-12"):
        real.run("green_trips_job", month)
    tags = {"dagster/asset_partition_range_start": "2020-10", "dagster/asset_partition_range_end": "2020-12"}
    assert real.defs.resolve_job_def("report_job").execute_in_process(instance=real.instance, tags=tags).success
    return page_of(real)


@pytest.fixture(scope="module")
def browser(of_evil: Path, of_nothing: Path, pictured: Path) -> Generator[Browser, None, None]:
    """Started last: no run can begin in the thread of its loop."""
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser:
        yield browser


def opened(
    browser: Browser, path: Path, width: int = 1100, height: int = 900, colours: ColorScheme = "light"
) -> Opened:
    viewport: ViewportSize = {"width": width, "height": height}
    page = browser.new_context(offline=True, viewport=viewport, color_scheme=colours).new_page()
    it = Opened(page)
    page.on("console", lambda message: it.said.append(message.text))
    page.on("pageerror", lambda error: it.said.append(str(error)))
    page.on("request", lambda request: it.asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("n => Object.keys(window.charts ?? {}).length == n", arg=len(CHARTS))
    return it


def page_of(platform: Platform) -> Path:
    return platform.data_dir / "report" / "index.html"


def test_it_opens_from_the_disk_without_a_network_and_complains_of_nothing(
    browser: Browser, platform: Platform
) -> None:
    it = opened(browser, page_of(platform))
    assert it.said == []
    assert [url for url in it.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    for name in CHARTS:
        assert it.page.locator(f"#{name}-chart svg").count() == 1, name
    assert (platform.data_dir / "report" / "index.html").stat().st_size < 5_000_000
    in_lake = platform.data_dir / "lake" / "_report" / "index.html"
    assert in_lake.read_bytes() == (platform.data_dir / "report" / "index.html").read_bytes(), (
        "beside the lake's months"
    )


def test_its_numbers_are_those_of_the_marts(browser: Browser, platform: Platform) -> None:
    page = opened(browser, page_of(platform)).page
    ((trips,),) = platform.sql("SELECT sum(trips) FROM taxi.month_quality")
    expect(page.locator("h1")).to_have_text(f"New York taxis: {trips:,} trips")
    rows = page.locator("#trust tbody tr")
    assert rows.count() == 4
    for row in rows.all():
        dataset, month, rows_in, kept, away, *_ = row.locator("td, th").all_inner_texts()
        ((held,),) = platform.sql(
            f"SELECT trips FROM taxi.month_quality WHERE dataset = '{dataset}' AND source_month = '{month}-01'"
        )
        assert int(kept.replace(",", "")) == held
        assert int(rows_in.replace(",", "")) == held + int(away.replace(",", "")) == 3_000


def test_a_month_and_a_measure_are_chosen_and_a_zone_is_followed(browser: Browser, platform: Platform) -> None:
    it = opened(browser, page_of(platform))
    assert (it.signal("month"), it.signal("measure")) == (MONTHS[-1], "trips")
    before = it.page.locator("#map-chart path[aria-roledescription='geoshape']").first.get_attribute("aria-label")

    it.page.locator("select[name=month]").select_option(MONTHS[0])
    it.page.locator("select[name=measure]").select_option(label="Revenue, USD")

    assert (it.signal("month"), it.signal("measure")) == (MONTHS[0], "revenue")
    zones = it.page.locator("#map-chart path[aria-roledescription='geoshape']")
    assert zones.first.get_attribute("aria-label") != before
    ((there,),) = platform.sql(
        f"SELECT count(DISTINCT pickup_location_id) FROM taxi.daily_zone_trips WHERE source_month = '{MONTHS[0]}-01'"
    )
    assert zones.count() == there, "every zone that has trips and a shape"
    zones.first.click()
    assert it.page.evaluate("charts.map.data('chosen_store').length") == 1


def test_a_day_without_trips_and_a_month_that_was_published_again_are_marked() -> None:
    days = pd.DataFrame(
        {"dataset": "green", "day": [f"2021-02-{day:02d}" for day in range(1, 29) if day != 9], "trips": 7}
    )
    nothing = pd.DataFrame()
    figures = Figures(zones=nothing, days=days, hours=nothing, payments=nothing, flows=nothing, months=nothing)
    spec = charts_of(figures, nothing, {}, {("green", "2021-02")})["days"]
    marks = [row for rows in spec["datasets"].values() for row in rows if "what" in row]
    assert marks == [
        {"dataset": "green", "day": "2021-02-01", "what": "published again"},
        {"dataset": "green", "day": "2021-02-09", "what": "no trip"},
    ]


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
def test_everybody_can_use_it_by_what_axe_says(
    browser: Browser, platform: Platform, width: int, colours: ColorScheme
) -> None:
    page = opened(browser, page_of(platform), width=width, colours=colours).page
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "only charts and tables scroll sideways"


def test_a_marts_month_can_be_had_as_a_file(browser: Browser, platform: Platform) -> None:
    page = opened(browser, page_of(platform)).page
    link = page.get_by_role("link", name=f"hourly_trips {MONTHS[0]}")
    path = platform.data_dir / "report" / str(link.get_attribute("href"))
    header, *lines = path.read_text().splitlines()
    assert header.startswith("dataset,source_month,weekday,hour,trips")
    ((there,),) = platform.sql(f"SELECT count(*) FROM taxi.hourly_trips WHERE source_month = '{MONTHS[0]}-01'")
    assert len(lines) == there


def test_behind_the_login_it_works_and_can_do_nothing_in_the_ui(browser: Browser, platform: Platform) -> None:
    caddyfile = (ROOT / "deploy" / "compose" / "Caddyfile").read_text()
    (policy,) = re.findall(r'Content-Security-Policy "(.*)"', caddyfile)
    page = browser.new_page()
    asked, said = list[str](), list[str]()
    page.on("pageerror", lambda error: said.append(str(error)))

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path == "/graphql":
            asked.append(str(route.request.headers.get("origin")))
            route.fulfill(body="{}", headers={"Access-Control-Allow-Origin": "https://ui.example"})
        elif path == "/report/":
            route.fulfill(path=page_of(platform), headers={"Content-Security-Policy": policy})
        else:
            route.fulfill(path=platform.data_dir / path.removeprefix("/"), content_type="text/csv")

    page.route("**/*", answer)
    page.goto("https://ui.example/report/")
    page.wait_for_function("n => Object.keys(window.charts ?? {}).length == n", arg=len(CHARTS))
    assert said == []
    assert not page.evaluate(
        "fetch('/graphql', {method: 'POST', credentials: 'include'}).then(() => true, () => false)"
    )
    assert set(asked) <= {"null"}, "and the login turns such a request away"
    with page.expect_download() as download:
        page.get_by_role("link", name=f"hourly_trips {MONTHS[0]}").click()
    assert download.value.suggested_filename == f"{MONTHS[0]}.csv"


def test_a_text_of_a_table_is_no_part_of_the_page(browser: Browser, of_evil: Path) -> None:
    it = opened(browser, of_evil)
    assert EVIL.replace("<", "\\u003c") in of_evil.read_text(), "it is on the page, as a text"
    assert it.page.title() != "taken"
    assert it.page.locator("#evil").count() == 0
    assert it.said == []


def test_a_page_of_nothing_says_so(browser: Browser, of_nothing: Path) -> None:
    page = browser.new_page()
    page.goto(of_nothing.as_uri())
    expect(page.locator("header")).to_contain_text("no months in the warehouse yet")
    expect(page.locator("#trust")).to_contain_text("make run")


def test_its_picture_is_taken(browser: Browser, pictured: Path, tmp_path: Path) -> None:
    it = opened(browser, pictured, width=800, height=900)
    folder = ROOT / SCREENSHOTS if SCREENSHOTS else tmp_path
    it.page.screenshot(path=folder / "page.png")
    assert (folder / "page.png").stat().st_size > 20_000
