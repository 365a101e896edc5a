"""Months of a backfill that has ended: what came first is compared with what came after it, and people hear of it."""

import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from taxi_platform.automation.comparing import BACKFILL, Compared, build_comparing_sensor
from taxi_platform.cli.following import follow
from taxi_platform.judged_again import answers_of, keys_of
from taxi_platform.resources import LakeResource, WorkspaceResource
from taxi_platform_tests.assets.months import trips, write_green
from taxi_platform_tests.assets.platform import Platform
from taxi_platform_tests.automation.endpoint import Endpoint
from taxi_platform_tests.automation.watching import Watch, instance_on_disk

# One of Apprise's hundred services looks for an old part of Python's library.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
NAME = "backfill"
#: A backfill as it runs, the newest month first: that one has lost 99 % of its rows.
ROWS = {"2021-03": 3, "2021-02": 300, "2021-01": 300}
MEANT = {"ops": {"clean_green_trips": {"config": {"fewer_rows_are_meant": True}}}}
SHRUNK = "green 2021-03: cleaned/month_has_not_shrunk"
TREND = "green 2021-03: cleaned/row_count_in_trend"


@dataclass
class Backfills:
    """Backfills of green on a platform of a test's own, and the sensor that looks at those that have ended."""

    platform: Platform
    source: Path
    cursor: str | None = None

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.platform.instance

    def run(self, month: str, rows: int, *, of_the_ui: bool = False, meant: bool = False) -> None:
        """Publish a month with so many rows, and run it as one of the backfill's."""
        write_green(self.source, trips(*[{"lpep_pickup_datetime": f"{month}-05 10:00:00"}] * rows), month)
        defs = self.platform.defs
        # What the UI begins for assets are runs of a job that has no tag of the dataset.
        job = defs.resolve_implicit_global_asset_job_def() if of_the_ui else defs.resolve_job_def("green_trips_job")
        chosen = [dg.AssetKey([it, "green_trips"]) for it in ("raw", "cleaned", "quarantine", "lake", "warehouse")]
        job.execute_in_process(
            instance=self.instance,
            partition_key=month,
            asset_selection=chosen if of_the_ui else None,
            tags={BACKFILL: NAME},
            run_config=MEANT if meant else None,
        )

    def begin(self) -> None:
        """A look before there is anything to look at."""
        assert self.look() == "nothing has ended yet"

    def end(self, name: str = NAME) -> None:
        """The daemon writes down that it has ended."""
        at = datetime.now(UTC).timestamp()
        done = PartitionBackfill(
            name, BulkActionStatus.COMPLETED_SUCCESS, from_failure=False, tags={}, backfill_timestamp=at
        )
        self.instance.add_backfill(done)

    def look(self) -> str:
        """A tick of the sensor, in a sensor that was made anew."""
        sensor = build_comparing_sensor(
            self.platform.catalog, dg.DefaultSensorStatus.STOPPED, lambda: datetime.now(UTC) + timedelta(minutes=5)
        )
        folder = self.platform.data_dir
        lake = LakeResource(url=str(folder / "lake"), cache_dir=str(folder / ".lake"))
        resources = {"workspace": WorkspaceResource(data_dir=str(folder)), "lake": lake}
        with dg.build_sensor_context(self.instance, cursor=self.cursor, resources=resources) as context:
            result = sensor.evaluate_tick(context)
        self.cursor = result.cursor
        assert result.run_requests == []
        return str(result.skip_message)

    def answers(self) -> list[tuple[str, str | None, bool]]:
        """Check, month and whether it holds, of all that was judged outside of the runs."""
        found = [it for key in keys_of(self.platform.catalog.trips["green"]) for it in answers_of(self.instance, key)]
        again = sorted((it for it in found if not it.run), key=lambda it: it.number)
        return [(it.check.check_name, it.check.partition, it.check.passed) for it in again]


@pytest.fixture
def backfills(tmp_path: Path) -> Generator[Backfills, None, None]:
    platform = Platform(tmp_path / "data", source=str(tmp_path / "source"))
    with instance_on_disk(tmp_path / "home", "") as instance:
        platform.__dict__["instance"] = instance
        yield Backfills(platform, tmp_path / "source")


@pytest.fixture
def watch(backfills: Backfills, endpoint: Endpoint) -> Watch:
    watch = Watch(backfills.instance, endpoint.url(), again=tuple(keys_of(backfills.platform.catalog.trips["green"])))
    watch.look()
    return watch


@pytest.mark.parametrize("of_the_ui", [False, pytest.param(True, marks=pytest.mark.campaign)])
def test_the_newest_month_that_lost_nearly_all_of_its_rows_is_found_when_the_backfill_ends_though_nobody_follows_it(
    backfills: Backfills, *, of_the_ui: bool
) -> None:
    backfills.begin()
    for month, rows in ROWS.items():
        backfills.run(month, rows, of_the_ui=of_the_ui)
    assert backfills.look() == "0 months compared", "it has not ended"
    assert backfills.answers() == []
    backfills.end()
    assert backfills.look() == "3 months compared"
    assert ("month_has_not_shrunk", "2021-03", False) in backfills.answers()
    assert ("row_count_in_trend", "2021-03", False) in backfills.answers()
    assert not [it for it in backfills.answers() if it[0] == "month_has_not_shrunk" and it[1] != "2021-03"]
    shrunk, _, _ = keys_of(backfills.platform.catalog.trips["green"])
    found = next(answers_of(backfills.instance, shrunk)).check
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert "3 rows in the source file against 300 in the lesser of the months beside it" in str(found.description)
    assert "is in the lake and the table" in str(found.description)

    before = backfills.answers()
    assert backfills.look() == "0 months compared"
    backfills.cursor = Compared().to_cursor()
    assert backfills.look() == "3 months compared"
    assert backfills.answers() == before, "the same answer is not reported twice"


@pytest.mark.campaign
def test_who_looks_for_the_first_time_leaves_what_ended_long_ago_alone(backfills: Backfills) -> None:
    for month, rows in ROWS.items():
        backfills.run(month, rows)
    backfills.end()
    backfills.begin()
    backfills.look()
    assert backfills.answers() == []


def test_a_month_that_was_meant_to_be_so_small_is_not_called_shrunk_by_those_that_came_later(
    backfills: Backfills,
) -> None:
    backfills.begin()
    for month, rows in ROWS.items():
        backfills.run(month, rows, meant=rows == 3)
    backfills.end()
    backfills.look()
    assert [it for it in backfills.answers() if it[0] == "month_has_not_shrunk"] == []


def test_people_hear_of_what_is_found_when_a_backfill_has_ended_once_and_that_it_is_well_again(
    backfills: Backfills, watch: Watch, endpoint: Endpoint
) -> None:
    backfills.begin()
    for month, rows in ROWS.items():
        backfills.run(month, rows)
    watch.look()
    endpoint.news()  # what the runs themselves have found
    backfills.end()
    backfills.look()
    watch.look()
    told = dict(endpoint.news())
    assert f"{SHRUNK} does not hold" in told
    assert f"{TREND} does not hold" in told
    assert told[f"{SHRUNK} does not hold"].startswith("3 rows in the source file against 300 in the lesser of")
    assert told[f"{SHRUNK} does not hold"].endswith("http://ui:3000/assets/cleaned/green_trips")
    assert {*endpoint.gravities} >= {"failure", "warning"}
    watch.look()
    assert endpoint.news() == []
    backfills.run("2021-03", 300)
    watch.look()
    assert {f"{SHRUNK} holds again", f"{TREND} holds again"} <= {*endpoint.titles()}


@pytest.mark.campaign
def test_what_a_run_had_found_is_no_good_news_once_its_month_was_judged_again(
    backfills: Backfills, watch: Watch, endpoint: Endpoint
) -> None:
    backfills.begin()
    for month, rows in ROWS.items():
        backfills.run(month, rows)
    backfills.end()
    backfills.look()
    watch.ahead = timedelta(0)  # the ends of the runs may not have settled yet; the answers have
    watch.look()
    watch.ahead = timedelta(seconds=15)
    watch.look()
    titles = endpoint.titles()
    assert f"{SHRUNK} does not hold" in titles
    assert f"{SHRUNK} holds again" not in titles


def test_who_follows_a_backfill_reads_which_month_lost_its_rows_and_following_it_again_reports_nothing_new(
    backfills: Backfills, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for month, rows in ROWS.items():
        backfills.run(month, rows)
    backfills.end()
    monkeypatch.setenv("DAGSTER_HOME", backfills.instance.root_directory)
    monkeypatch.setenv("TAXI_DATA_DIR", str(backfills.platform.data_dir))
    assert follow(NAME, as_json=True) == 0
    said = json.loads(capfd.readouterr().out)
    of_march = next(it for it in said["months"] if it["subject"] == "green 2021-03")
    assert of_march["reason"].startswith("month_has_not_shrunk: 3 rows in the source file against 300")
    assert of_march["warned"] >= 2
    before = backfills.answers()
    assert before
    assert follow(NAME, as_json=True) == 0
    assert json.loads(capfd.readouterr().out) == said
    assert backfills.answers() == before


@pytest.mark.campaign
def test_a_backfill_whose_months_cannot_be_compared_again_is_told_of_all_the_same(
    backfills: Backfills, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for month, rows in ROWS.items():
        backfills.run(month, rows)
    backfills.end()
    monkeypatch.setenv("DAGSTER_HOME", backfills.instance.root_directory)
    monkeypatch.setenv("TAXI_LAKE_URL", "ftp://nowhere")
    assert follow(NAME, as_json=True) == 0
    months = json.loads(capfd.readouterr().out)["months"]
    assert [it["subject"] for it in months] == ["green 2021-01", "green 2021-02", "green 2021-03"]
    assert all(it["reason"].startswith("not compared again: ") for it in months)
    assert all(it["passed"] > 5 for it in months)
