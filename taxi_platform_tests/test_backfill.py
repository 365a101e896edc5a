"""Many months through the queue of a real daemon, as people start, watch, leave and cancel them in a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month

#: About a minute on two idle cores, all of it in the first test; a busy machine may take several times that.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]
ROOT = Path(__file__).parents[1]
#: So many that some still wait when the daemon, which looks for backfills twice a minute, has found all of them.
MONTHS = [f"2020-{number:02d}" for number in range(5, 13)]
ROWS = 300
RULES = {"ops": {"clean_yellow_trips": {"config": {"rules": {"zero_passengers": "warn"}}}}}
KEPT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("TAXI_", "DAGSTER_", "PYTEST_", "MAKE"))
    and name not in ("MFLAGS", "SOURCE", "CONFIG", "MONTH", "FROM", "TO", "DATASET", "BACKFILL", "PORT")
}


@dataclass(frozen=True)
class Ended:
    """A command that was run.

    Attributes:
        status: Its exit status.
        said: What it wrote, to stdout and stderr.
    """

    status: int
    said: str

    @property
    def backfill(self) -> str:
        """The backfill's name."""
        return name_in(self.said)


@dataclass(frozen=True)
class Station:
    """Everything that was done, once, for all tests here: there is one daemon, and it takes its time.

    Attributes:
        green: Eight months of green by `make backfill`, into a file.
        yellow: Eight months of yellow, at a terminal, with rules of its own.
        left: Three months of fhv, one of which is not published; Ctrl-C as soon as they were begun.
        followed: The same, looked at again.
        mended: What failed of them, once more, after it was published.
        cancelled: What `cancel` said of five months that were waiting.
        end_of_cancelled: What became of those.
    """

    folder: Path
    daemon: "Terminal"
    green: Ended
    yellow: Ended
    left: Ended
    followed: Ended
    mended: Ended
    cancelled: Ended
    end_of_cancelled: Ended

    def daemon_said(self) -> bytes:
        """What the daemon and every run wrote."""
        return bytes(self.daemon.said)

    def runs(self, backfill: str) -> list[dg.RunRecord]:
        """A backfill's runs, by when they were started."""
        with dg.DagsterInstance.from_config(str(self.folder / "home")) as instance:
            runs = instance.get_run_records(dg.RunsFilter(tags={"dagster/backfill": backfill}))
        return sorted(runs, key=lambda it: it.start_time or 0.0)


@dataclass
class Terminal:
    """A command at work; with a terminal of its own, if it is to think that a person looks on."""

    process: subprocess.Popen[bytes]
    reader: threading.Thread
    said: bytearray

    def wait_for(self, pattern: str) -> str:
        """Wait until it has said something."""
        wait_until(lambda: re.search(pattern, self.said.decode()) or self.process.poll() is not None)
        return self.said.decode()

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> Ended:
        """Wait until it has ended."""
        status = self.process.wait(600)
        self.reader.join(30)
        return Ended(status, self.said.decode())


def begin(folder: Path, *command: str, at_terminal: bool = False) -> Terminal:
    theirs, ours = reversed(pty.openpty()) if at_terminal else reversed(os.pipe())
    environ = KEPT | {
        "DAGSTER_HOME": str(folder / "home"),
        "TAXI_DATA_DIR": str(folder / "data"),
        "TAXI_SOURCE": str(folder / "source"),
        "TERM": "xterm",
        "COLUMNS": "120",
    }
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said = bytearray()

    def read() -> None:
        with suppress(OSError), os.fdopen(ours, "rb", buffering=0) as file:  # a terminal nobody writes to is an error
            while part := file.read(1 << 16):
                said.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    return Terminal(process, reader, said)


def launch(folder: Path, *arguments: str, at_terminal: bool = False) -> Terminal:
    return begin(folder, sys.executable, "-m", "taxi_platform.cli", *arguments, at_terminal=at_terminal)


def name_in(said: str) -> str:
    (name,) = re.findall(r"is backfill (\w+);", said)
    return name


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def _publish(folder: Path, dataset: str, month: str) -> None:
    path = folder / "source" / f"{dataset}_tripdata_{month}.csv.gz"
    write_month(load_catalog().trips[dataset], Month.parse(month), ROWS, path)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Generator[Station, None, None]:
    folder = tmp_path_factory.mktemp("backfill")
    months = {"green": MONTHS, "yellow": MONTHS, "fhv": ["2021-01", "2021-03"]}
    (folder / "source").mkdir()
    for dataset, keys in months.items():
        for key in keys:
            _publish(folder, dataset, key)
    (folder / "home").mkdir()
    (folder / "home" / "dagster.yaml").write_bytes((ROOT / "deploy" / "local" / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(folder / "home")) as instance:
        assert instance.get_runs_count() == 0  # its tables are made before several processes come at once
        daemon = begin(folder, sys.executable, "-m", "taxi_platform.daemon", "run", "-w", "workspace.yaml")
        try:
            wait_until(lambda: instance.get_daemon_statuses(["BACKFILL"])["BACKFILL"].healthy)
            green = begin(folder, "make", "backfill", "DATASET=green", "FROM=2020-05", "TO=2020-12")
            (folder / "rules.yaml").write_text(yaml.safe_dump(RULES))
            rules = f"--config={folder}/rules.yaml"
            yellow = launch(folder, "backfill", "yellow", "2020-05", "2020-12", rules, at_terminal=True)
            for newer in (green, yellow):
                newer.wait_for("is backfill")  # the older months below wait behind these
            left = launch(folder, "backfill", "fhv", "2021-01", "2021-03")
            waiting = launch(folder, "backfill", "fhvhv", "2019-02", "2019-06")
            left.wait_for("is backfill")
            left.interrupt()
            name = name_in(waiting.wait_for("is backfill"))
            queued = dg.RunsFilter(tags={"dagster/backfill": name}, statuses=[dg.DagsterRunStatus.QUEUED])
            wait_until(lambda: instance.get_runs_count(queued) == 5)
            cancelled = launch(folder, "cancel", name)
            followed = launch(folder, "follow", name_in(left.end().said)).end()
            _publish(folder, "fhv", "2021-02")
            mended = launch(folder, "backfill", "fhv", "2021-01", "2021-03", "--only=failed")
            yield Station(
                folder=folder,
                daemon=daemon,
                green=green.end(),
                yellow=yellow.end(),
                left=left.end(),
                followed=followed,
                mended=mended.end(),
                cancelled=cancelled.end(),
                end_of_cancelled=waiting.end(),
            )
        finally:
            daemon.interrupt()
            daemon.end()


def test_every_month_of_two_datasets_arrives_and_none_stumbles_over_a_lock(station: Station) -> None:
    for ended in (station.green, station.yellow):
        runs = station.runs(ended.backfill)
        assert [it.dagster_run.status for it in runs] == [dg.DagsterRunStatus.SUCCESS] * len(MONTHS)
    with duckdb.connect(str(station.folder / "data" / "warehouse.duckdb"), read_only=True) as warehouse:
        for dataset in ("green", "yellow"):
            query = f"SELECT DISTINCT strftime(source_month, '%Y-%m') FROM taxi.{dataset}_trips ORDER BY 1"
            assert [month for (month,) in warehouse.execute(query).fetchall()] == MONTHS
    logs = [path for path in (station.folder / "home").rglob("*") if path.is_file()]
    said = [path.read_bytes() for path in logs] + [station.daemon_said()]
    assert not [it for it in said if b"Could not set lock" in it or b"database is locked" in it]


def test_the_newest_months_come_first(station: Station) -> None:
    for ended in (station.green, station.yellow):
        months = [it.dagster_run.tags["dagster/partition"] for it in station.runs(ended.backfill)]
        # Two run at once: which of two starts first is chance.
        assert all(later < earlier for earlier, later in zip(months, months[2:], strict=False)), months


def test_a_file_or_a_pipe_gets_a_line_for_each_month_and_a_table_at_the_end(station: Station) -> None:
    said = station.green.said
    assert station.green.status == 0
    for month in MONTHS:
        assert re.search(rf"^green {month} +\d+ rows +\d+\.\d s$", said, re.MULTILINE)
        assert re.search(rf"│ green {month} │ success │ \d+ +│ \d+ +│ \d+\.\d +│ \d+ +│ \d+ +│ \d+ +│ +│", said)
    assert re.search(r"8 of 8 months, 2,\d{3} rows", said)
    assert "\x1b[" not in said


def test_a_terminal_gets_a_bar_that_says_how_far_how_fast_and_how_long(station: Station) -> None:
    said = station.yellow.said
    assert station.yellow.status == 0
    assert re.search(r"is backfill \w+; the daemon queues the newest first", said)
    seen = {int(done) for done in re.findall(r"(\d+)/8", said)}
    assert len(seen) > 3
    assert re.search(r"[1-9]\d* rows/s", said)
    assert re.search(r"[1-9]\d* s left", said)
    assert re.search(r"8 of 8 months", said)


def test_the_rules_it_was_given_are_those_of_every_month(station: Station) -> None:
    assert all(it.dagster_run.run_config == RULES for it in station.runs(station.yellow.backfill))
    assert not any(it.dagster_run.run_config for it in station.runs(station.green.backfill))


def test_ctrl_c_leaves_it_running_and_says_how_to_go_on(station: Station) -> None:
    name = station.left.backfill
    assert station.left.status == 130
    assert "The backfill goes on." in station.left.said
    assert f"make follow BACKFILL={name}" in station.left.said
    assert f"make cancel BACKFILL={name}" in station.left.said
    assert "Traceback" not in station.left.said
    assert len(station.runs(name)) == 3


def test_a_month_that_fails_does_not_stop_the_others_and_the_table_says_why(station: Station) -> None:
    assert station.followed.status == 1
    assert "2 of 3 months" in station.followed.said
    (line,) = [it for it in station.followed.said.splitlines() if it.startswith("fhv 2021-02  ")]
    assert line.startswith("fhv 2021-02  failure: fhv 2021-02: not published by this source at ")
    assert re.search(r"│ fhv 2021-02 │ failure │ 0 .*fhv 2021-02: not", station.followed.said)
    for month in ("2021-01", "2021-03"):
        assert re.search(rf"│ fhv {month} │ success │", station.followed.said)


def test_what_failed_is_run_again_and_nothing_else(station: Station) -> None:
    assert station.mended.status == 0
    assert "fhv 2021-01 to 2021-03 (1 failed) is backfill" in station.mended.said
    assert [it.dagster_run.tags["dagster/partition"] for it in station.runs(station.mended.backfill)] == ["2021-02"]
    assert "1 of 1 months" in station.mended.said


def test_cancelling_ends_the_months_that_wait(station: Station) -> None:
    name = station.end_of_cancelled.backfill
    assert station.cancelled.status == 0
    assert f"5 months of backfill {name} were cancelled" in station.cancelled.said
    assert station.end_of_cancelled.status == 1
    assert "0 of 5 months" in station.end_of_cancelled.said
    assert {it.dagster_run.status for it in station.runs(name)} == {dg.DagsterRunStatus.CANCELED}


@pytest.mark.parametrize("command", ["follow", "cancel"])
def test_a_backfill_there_is_not_is_told(station: Station, command: str) -> None:
    ended = launch(station.folder, command, "abcdefgh").end()
    assert ended.status == 2
    assert ended.said.startswith("there is no backfill abcdefgh\nCause: ")
