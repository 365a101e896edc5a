"""The UI as people use it: `make dev` and a real browser, from the asset graph to a backfill.

The same pages are what the README shows: `make screenshots` takes them anew.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect, sync_playwright
from playwright.sync_api import TimeoutError as Waited

from taxi_platform.checks import build_checks
from taxi_platform.core.catalog import load_catalog
from taxi_platform.definitions import build_definitions
from taxi_platform.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: A minute on two idle cores, half of it for the daemon, which looks for backfills twice a minute.
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: install Debian's package chromium to run this"),
    pytest.mark.timeout(600),
]
PATIENCE = 60_000  # milliseconds: a busy machine may take several times what an idle one does
ROOT = Path(__file__).parents[1]
ROWS = 20_000
#: A folder of the project, if its screenshots are to be replaced.
SCREENSHOTS = os.environ.get("SCREENSHOTS")
JOB = "/locations/taxi_platform/jobs/green_trips_job"
GRAPH = "/locations/taxi_platform/asset-groups/green/lineage"
MONTH = "/assets/cleaned/green_trips?view=partitions&partition=2020-11"
LAYERS = {
    "raw": ("The month's file, as published", "File"),
    "cleaned": ("the rows to be trusted", "Parquet"),
    "quarantine": ("Rows turned away, as published", "Parquet"),
    "lake": ("the cleaned month in the data lake", "Parquet"),
    "warehouse": ("every month in one table", "Table"),
}


@dataclass(frozen=True)
class Ui:
    """The UI, with what was launched in it once for all tests here.

    Attributes:
        address: Where it is.
        page: The browser's one page.
        backfill: The path of the page of a backfill of two months.
        data: The data folder.
        pictures: Where screenshots go.
    """

    address: str
    page: Page
    backfill: str
    data: Path
    pictures: Path

    def open(self, path: str, width: int = 1400, height: int = 900) -> Page:
        """Open a page of the UI in a window of some size."""
        self.page.set_viewport_size(ViewportSize(width=width, height=height))
        self.page.goto(self.address + path)
        return self.page

    def take(self, name: str, height: int | None = None) -> None:
        """Take a screenshot of the page, from its top down to a height."""
        size = self.page.viewport_size
        assert size
        path = self.pictures / f"{name}.png"
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"]}
        self.page.screenshot(path=path, clip=clip, animations="disabled", caret="hide")  # pyright: ignore[reportArgumentType]
        assert 5_000 < path.stat().st_size < 250_000


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Generator[Ui, None, None]:
    folder = tmp_path_factory.mktemp("browser")
    pictures = ROOT / SCREENSHOTS if SCREENSHOTS else folder
    with _developing(folder) as address, _page() as page:
        month = _launch(page, address, "2020-11", "Launch 1 run")
        backfill = _launch(page, address, "[2020-09...2020-10]", "Launch backfill")
        page.goto(address + month)
        expect(page.get_by_text("Success", exact=True).first).to_be_visible()
        yield Ui(address, page, backfill, folder / "data", pictures)


def test_a_month_shows_its_counts_its_rules_a_plot_and_a_preview(ui: Ui) -> None:
    page = ui.open(MONTH, height=2300)  # so high that dialogs open below the counts
    expect(page.get_by_text("Materialized", exact=True)).to_be_visible()
    file = str(ui.data / "cleaned" / "green" / "2020-11.parquet")
    (kept,) = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [file]).fetchall()[0]
    assert 0 < kept < ROWS
    expect(_value(page, "rows in")).to_have_text(str(ROWS))
    expect(_value(page, "dagster/partition_row_count")).to_have_text(str(kept))

    preview = _value(page, "preview").get_by_role("table")
    expect(preview.get_by_role("row")).to_have_count(11)  # ten, and the columns' names
    expect(preview).to_contain_text("pickup_datetime")

    rules = _opened(page, "rules")
    for rule in load_catalog().trips["green"].rules:
        row = rules.get_by_role("row").filter(has=page.get_by_text(rule.name, exact=True))
        expect(row).to_contain_text(rule.action)
    _close(rules)

    plot = _opened(page, "rows by rule").get_by_role("img", name="rows by rule")
    expect(plot).to_be_visible()
    assert plot.evaluate("it => it.decode().then(() => it.naturalWidth)") > 100
    box = plot.bounding_box()
    assert box and box["width"] > 100 and box["height"] > 20
    ui.take("asset", height=1040)


def test_sensors_and_schedules_are_listed_and_off(ui: Ui) -> None:
    page = ui.open("/automation", height=1400)  # rows outside of the window are not made
    defined = build_definitions(Settings()).get_repository_def()
    names = [it.name for it in (*defined.sensor_defs, *defined.schedule_defs)]
    assert "green_publications" in names
    assert "green_monthly" in names
    for name in names:
        row = page.locator("[data-index]").filter(has=page.get_by_text(name, exact=True))
        boxes = row.get_by_role("checkbox")  # to select it, and to switch it on
        expect(boxes).to_have_count(2)
        expect(boxes.last).to_be_checked(checked=name == "housekeeping")  # it fetches nothing


def test_a_backfill_of_two_months_succeeds(ui: Ui) -> None:
    page = ui.open(ui.backfill + "?tab=runs", height=800)
    for month in ("2020-09", "2020-10"):
        run = page.locator("[data-index]").filter(has_text=f"partition: {month}")
        _reload_until(page, run.get_by_text("Success", exact=True))
    if SCREENSHOTS:  # what the daemon says of the whole comes at its next look
        _reload_until(page, page.get_by_text("Succeeded", exact=True))
    ui.take("backfill", height=550)


def test_the_asset_graph_says_what_each_layer_holds_whose_it_is_and_what_is_checked(ui: Ui) -> None:
    page = ui.open(GRAPH, width=1900, height=720)
    page.get_by_text("Hide navigation").click()
    page.get_by_role("button").filter(has=page.get_by_label("config", exact=True)).click()
    facets = page.get_by_role("dialog")
    for facet in ("Description", "Owner"):
        facets.locator("label").filter(has_text=facet).click()
    facets.get_by_role("button", name="Save").click()
    expect(facets).to_be_hidden()
    page.reload()  # what is shown is fitted to the window anew

    catalog = load_catalog()
    checks = [spec for it in build_checks(catalog.trips["green"], catalog) for spec in it.check_specs]
    by_schedule = {"raw": 1}  # newest_month_is_here, which no run of a month evaluates
    for layer, (description, kind) in LAYERS.items():
        node = page.locator("foreignObject").filter(has_text=description)
        for text in ("green_trips", "data-platform", layer, kind):
            expect(node.get_by_text(text, exact=True).first).to_be_visible()
        if count := sum(spec.asset_key.path[0] == layer for spec in checks):
            expect(node).to_contain_text(
                re.compile(rf"Asset checks{count} / {count + by_schedule.get(layer, 0)} Passed")
            )
    expect(page.get_by_text("Asset Group in")).to_be_visible()
    ui.take("asset-graph")

    page.locator("foreignObject").filter(has_text=LAYERS["cleaned"][0]).get_by_text("green_trips").click()
    page.get_by_role("link", name="View in Asset Catalog").click()
    expect(page.get_by_text("one schema for all years")).to_be_visible()
    expect(page.get_by_text("When the meter was engaged, New York wall clock.")).to_be_visible()


@contextmanager
def _developing(folder: Path) -> Generator[str, None, None]:
    """What `make dev` starts, until it is interrupted as by Ctrl-C."""
    others = ("TAXI_", "DAGSTER_", "PYTEST_", "MAKE", "MFLAGS", "SOURCE", "CONFIG")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(others)} | {
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_SOURCE": "sample",
        "TAXI_SAMPLE_ROWS": str(ROWS),
    }
    port = str(_free_port())
    command = [sys.executable, "-m", "taxi_platform.cli", "dev", f"--port={port}"]
    with (
        (folder / "dev.log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + 120
            while not _answers(address):
                said = (folder / "dev.log").read_text()
                assert process.poll() is None and time.monotonic() < end, said
                time.sleep(0.2)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):  # whatever it left behind
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _page() -> Generator[Page, None, None]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            yield page
        finally:
            browser.close()


def _launch(page: Page, address: str, months: str, button: str) -> str:
    """Launch months from the job's page.

    Returns:
        The path of the run's or the backfill's page.
    """
    page.goto(address + JOB)
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    selection = dialog.get_by_placeholder("ex: 2013-08")
    selection.fill(months)
    selection.press("Enter")
    dialog.get_by_role("button", name=button, exact=True).click()
    page.get_by_text("View", exact=True).click()  # in the message that it was launched
    page.wait_for_url("**/runs/**")
    return page.url.removeprefix(address)


def _value(page: Page, name: str) -> Locator:
    """The value of an entry of a materialization's metadata."""
    entry = page.get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True))
    return entry.locator("> td").nth(1)


def _opened(page: Page, name: str) -> Locator:
    """The dialog that shows an entry that is Markdown."""
    _value(page, name).get_by_text("[Show Markdown]").click()
    return page.get_by_role("dialog")


def _close(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def _reload_until(page: Page, there: Locator) -> None:
    """Wait for what the page would show by itself only after a while."""
    end = time.monotonic() + 2 * PATIENCE / 1000
    while True:
        try:
            return there.wait_for(timeout=4_000)
        except Waited:
            if time.monotonic() > end:
                raise
            page.reload()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]
