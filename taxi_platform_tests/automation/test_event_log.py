"""The event log that stays open is Dagster's own, to whoever reads it: another class, another process, the UI."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy.exc import OperationalError

from taxi_platform.automation import event_log
from taxi_platform.automation.event_log import KeptEventLogStorage

ROOT = Path(__file__).parents[2]


@dg.asset
def small() -> int:
    return 1


@dg.asset_check(asset=small)
def is_small() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@pytest.fixture
def instance(tmp_path: Path) -> Generator[dg.DagsterInstance, None, None]:
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "deploy" / "local" / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.event_log_storage, KeptEventLogStorage)
        yield instance


def run(instance: dg.DagsterInstance) -> str:
    result = dg.materialize([small, is_small], instance=instance)
    assert result.success
    return result.run_id


def open_databases(folder: Path) -> set[str]:
    links = (os.path.realpath(link) for link in Path("/proc/self/fd").iterdir())
    return {Path(link).name for link in links if link.startswith(str(folder)) and link.endswith(".db")}


def test_dagsters_own_class_reads_the_same_events(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run_id = run(instance)
    written = [it.dagster_event_type for it in instance.all_logs(run_id)]
    theirs = yaml.safe_load((tmp_path / "dagster.yaml").read_text())
    del theirs["event_log_storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(theirs))
    with dg.DagsterInstance.from_config(str(tmp_path)) as other:
        assert type(other.event_log_storage) is SqliteEventLogStorage
        assert [it.dagster_event_type for it in other.all_logs(run_id)] == written
        assert other.get_latest_materialization_event(dg.AssetKey("small")) is not None
    assert dg.DagsterEventType.ASSET_CHECK_EVALUATION in written


def test_a_copied_folder_is_an_instance_of_its_own(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    before = run(instance)
    copy = shutil.copytree(tmp_path, tmp_path.with_name("copied"))
    with dg.DagsterInstance.from_config(str(copy)) as other:
        assert other.all_logs(before)
        after = run(other)
    assert not instance.all_logs(after)
    assert (copy / "history" / "runs" / f"{after}.db").exists()


def test_a_run_is_read_by_another_process_while_it_is_written(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run_id = run(instance)
    ask = f"import dagster as dg\nwith dg.DagsterInstance.get() as it: print(len(it.all_logs({run_id!r})))"
    environ = {"DAGSTER_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", ask]
    told = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert int(told.stdout) == len(instance.all_logs(run_id)) > 5


def test_who_watches_a_run_is_told_of_each_event(instance: dg.DagsterInstance) -> None:
    first, told, seen = run(instance), list[str](), threading.Event()

    def see(entry: dg.EventLogEntry, _: str) -> None:
        told.append(entry.message)
        if "look here" in entry.message:
            seen.set()

    instance.watch_event_logs(first, None, see)
    time.sleep(0.5)  # the watching begins in a thread
    instance.report_engine_event("look here", instance.get_run_by_id(first))
    assert seen.wait(20), told
    instance.end_watch_event_logs(first, see)


def test_reading_a_run_is_no_news_to_who_watches_it(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    database = tmp_path / "history" / "runs" / f"{run(instance)}.db"
    changed = database.stat().st_mtime_ns
    assert instance.all_logs(database.stem)
    assert database.stat().st_mtime_ns == changed  # or a watcher, who reads, would wake itself for ever


def test_a_database_that_could_not_be_made_is_made_the_next_time(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    in_its_place = tmp_path / "history" / "runs" / "a-run-nobody-knows.db"
    in_its_place.mkdir(parents=True)
    with pytest.raises(OperationalError):
        instance.all_logs("a-run-nobody-knows")
    in_its_place.rmdir()
    assert instance.all_logs("a-run-nobody-knows") == []


def test_only_a_few_databases_stay_open(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "_KEPT", 3)
    runs = [run(instance) for _ in range(5)]
    assert len(open_databases(tmp_path / "history" / "runs")) == 3
    assert all(instance.all_logs(run_id) for run_id in runs)  # those that were closed are opened again
    assert len(open_databases(tmp_path / "history" / "runs")) == 3


def test_wiping_closes_them(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run_id = run(instance)
    instance.wipe()
    assert open_databases(tmp_path / "history" / "runs") <= {"index.db"}
    assert not instance.all_logs(run_id)
    assert run(instance)


def test_no_two_runs_take_the_same_place_in_a_pool(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    claims, places = 12, 4
    together = threading.Barrier(claims)
    instance.event_log_storage.initialize_concurrency_limit_to_default("source")

    def claim(number: int) -> bool:
        # An instance of its own, as each process has one.
        with dg.DagsterInstance.from_config(str(tmp_path)) as own:
            storage = own.event_log_storage
            storage.get_concurrency_info("source")  # its database is open then
            together.wait(60)
            return storage.claim_concurrency_slot("source", f"run {number}", "fetch").is_claimed

    for again in range(2):
        with ThreadPoolExecutor(claims) as pool:
            claimed = sum(pool.map(claim, range(claims)))
        held = instance.event_log_storage.get_concurrency_info("source").claimed_slots
        assert (claimed, len({it.run_id for it in held})) == (places, places), again
        for number in range(claims):
            instance.event_log_storage.free_concurrency_slots_for_run(f"run {number}")
