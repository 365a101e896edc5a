"""What a plan says is what the backfill that follows does; and a backfill takes only the months that lack something."""

import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month
from taxi_platform_tests.test_backfill import KEPT, ROOT, begin, wait_until
from taxi_platform_tests.test_launch import launch

#: Two minutes on two idle cores; a busy machine may take several times that.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]
MONTHS = [str(it) for it in Month(2019, 1).until(Month(2020, 12))]
ABSENT = MONTHS[2::4]
RULES = "ops: {clean_green_trips: {config: {rules: {zero_passengers: warn}}}}"


@dataclass(frozen=True)
class Place:
    """A daemon at work, and what `taxi` is asked there."""

    folder: Path
    source: str

    def publish(self, month: str, rows: int = 200) -> None:
        """Put a month's file into the source."""
        path = self.folder / "source" / f"green_tripdata_{month}.csv.gz"
        write_month(load_catalog().trips["green"], Month.parse(month), rows, path)

    def ask(self, command: str, *options: str, first: str = MONTHS[0], last: str = MONTHS[-1]) -> dict[str, Any]:
        """What a command about the months says to a program."""
        asked = [sys.executable, "-m", "taxi_platform.cli", command, "green", first, last, "--json", *options]
        environ = KEPT | {
            "DAGSTER_HOME": str(self.folder / "home"),
            "TAXI_DATA_DIR": str(self.folder / "data"),
            "TAXI_SOURCE": self.source,
        }
        done = subprocess.run(asked, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600)
        assert done.stdout, done.stderr
        return json.loads(done.stdout) | {"exit status": done.returncode}

    def planned(self, *options: str) -> list[str]:
        """The months a plan takes."""
        return [it["month"] for it in self.ask("plan", *options)["months"]]


@contextmanager
def place_of(folder: Path, source: str) -> Generator[Place, None, None]:
    """A daemon whose months come from a source."""
    (folder / "home").mkdir()
    (folder / "home" / "dagster.yaml").write_bytes((ROOT / "deploy" / "local" / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(folder / "home")) as instance:
        assert instance.get_runs_count() == 0  # its tables are made before several processes come at once
        command = [sys.executable, "-m", "taxi_platform.daemon", "run", "-w", "workspace.yaml"]
        daemon = begin(folder, "env", f"TAXI_SOURCE={source}", *command)
        try:
            wait_until(lambda: instance.get_daemon_statuses(["BACKFILL"])["BACKFILL"].healthy)
            yield Place(folder, source)
        finally:
            daemon.interrupt()
            daemon.end()


@pytest.fixture
def place(tmp_path: Path) -> Generator[Place, None, None]:
    (tmp_path / "source").mkdir()
    with place_of(tmp_path, str(tmp_path / "source")) as it:
        for month in sorted(set(MONTHS) - set(ABSENT)):
            it.publish(month)
        yield it


@pytest.mark.campaign
def test_a_backfill_does_what_its_plan_says_and_what_failed_changed_or_is_outdated_is_taken_alone(place: Place) -> None:
    plan = place.ask("plan")
    assert [it["month"] for it in plan["months"]] == MONTHS
    assert [it["month"] for it in plan["months"] if not it["published"]] == ABSENT
    assert all(it["why"].startswith("missing: ") for it in plan["months"])
    assert not (place.folder / "data" / "raw").exists(), "a plan has changed something"

    done = place.ask("backfill")
    assert (done["exit status"], done["status"]) == (1, "failed")
    failed = [it["subject"][-7:] for it in done["months"] if it["status"] == "failure"]
    assert failed == ABSENT
    assert all("not published by this source" in it["reason"] for it in done["months"] if it["reason"])
    fetched = sum(it["rows"] + it["quarantined"] for it in done["months"])
    sizes = sum(path.stat().st_size for path in (place.folder / "data" / "raw").rglob("*.csv.gz"))
    assert plan["rows"] == pytest.approx(fetched, rel=0.25)  # of a CSV nobody has counted the rows
    assert plan["bytes"] == sizes

    again = place.ask("plan")
    assert again["rows"] == fetched  # the run has counted them
    assert again["learned_from_months"] == 18

    for month in ABSENT:
        place.publish(month)
    assert place.planned("--only=failed") == ABSENT
    assert place.planned("--only=missing") == ABSENT
    mended = place.ask("backfill", "--only=failed")
    assert [it["subject"][-7:] for it in mended["months"]] == ABSENT
    assert (mended["exit status"], mended["status"]) == (0, "done")
    for only in ("failed", "missing", "changed", "outdated"):
        assert place.planned(f"--only={only}") == [], only
    assert place.ask("backfill", "--only=failed")["months"] == []

    place.publish("2019-05", rows=210)
    assert place.planned("--only=changed") == ["2019-05"]
    (place.folder / "rules.yaml").write_text(RULES)
    assert place.planned("--only=outdated", f"--config={place.folder}/rules.yaml") == MONTHS


@pytest.mark.campaign
def test_a_plan_of_24_generated_months_is_right_to_the_percent_and_its_minutes_to_a_quarter(tmp_path: Path) -> None:
    with place_of(tmp_path, "sample") as place:
        place.ask("backfill", first="2018-07", last="2018-12")  # of which is learned how long a month takes
        plan = place.ask("plan")
        began = time.monotonic()
        done = place.ask("backfill")
        seconds = time.monotonic() - began

    assert (done["exit status"], len(done["months"])) == (0, 24)
    files = [next((tmp_path / "data" / "raw" / "green" / month).glob("*.csv.gz")) for month in MONTHS]
    assert plan["rows"] == sum(it["rows"] + it["quarantined"] for it in done["months"]) == 24 * 20_000
    assert plan["bytes"] == pytest.approx(sum(it.stat().st_size for it in files), rel=0.01)
    assert plan["seconds"] == pytest.approx(seconds, rel=0.25)


def test_the_size_of_generated_months_is_told_to_the_percent(tmp_path: Path) -> None:
    environ = {"TAXI_DATA_DIR": str(tmp_path), "TAXI_SOURCE": "sample", "TAXI_SAMPLE_ROWS": "20000"}
    plan = json.loads(launch("plan", "green", "2019-01", "2019-03", "--json", environment=environ).stdout)
    path = tmp_path / "month.csv.gz"
    made = 0
    for month in Month(2019, 1).until(Month(2019, 3)):
        write_month(load_catalog().trips["green"], month, 20_000, path)
        made += path.stat().st_size
    assert plan["rows"] == 60_000
    assert plan["bytes"] == pytest.approx(made, rel=0.01)


def test_months_that_the_disk_cannot_take_are_refused_by_a_plan_and_it_says_what_they_need(tmp_path: Path) -> None:
    from taxi_platform_tests.disks import disk

    with disk(tmp_path / "small", "64m") as small:
        environ = {"TAXI_DATA_DIR": str(small), "TAXI_SOURCE": "sample", "TAXI_SAMPLE_ROWS": "3000000"}
        done = launch("plan", "green", "2019-01", "2019-03", environment=environ)
    assert done.returncode == 2
    assert "9,000,000 rows" in done.stdout
    assert done.stderr.startswith("green: 3 months need ")
    assert len(done.stderr.splitlines()) == 3


def test_a_source_that_does_not_answer_is_told_in_three_lines_and_not_waited_for(tmp_path: Path) -> None:
    environ = {"TAXI_DATA_DIR": str(tmp_path), "TAXI_SOURCE": "http://127.0.0.1:9/"}
    done = launch("plan", "green", "2019-01", "2020-12", environment=environ)
    assert done.returncode == 2
    assert "green 2019-01" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
