"""From the lake to the warehouse: whatever arrives, from whomever, however old, is loaded once."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.errors import LakeError
from taxi_platform.core.lake import object_key, open_lake
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.assets.platform import Platform, checks_of, failure_of, metadata_of
from taxi_platform_tests.automation.ticks import Automation, runs_of, start
from taxi_platform_tests.core.lake.conftest import bucket, google  # noqa: F401 (fixtures)

ARRIVALS, JOB = "green_arrivals", "green_to_warehouse_job"
NOTHING = "every object in the lake is loaded, or about to be"
OLD, NEW = "2020-01", "2025-11"
ROWS = 60


@pytest.fixture(params=["folder", "gcs"])
def automation(request: pytest.FixtureRequest, tmp_path: Path) -> Automation:
    url = "" if request.param == "folder" else f"gs://{request.getfixturevalue('bucket')}/prefix"
    return Automation(Platform(tmp_path / "data", sample_rows=ROWS, lake_url=url))


@pytest.fixture
def put(automation: Automation, tmp_path: Path) -> Callable[[str, ParquetFile], None]:
    """Somebody else puts an object where the platform would have put the month."""
    platform = automation.platform
    contract = platform.catalog.trips["green"]

    def put(month: str, file: ParquetFile) -> None:
        key = object_key(contract, Month.parse(month))
        if platform.lake_url:
            from google.cloud import storage

            name, _, prefix = platform.lake_url.removeprefix("gs://").partition("/")
            storage.Client(project=None).bucket(name).blob(f"{prefix}/{key}").upload_from_filename(str(file.path))
        else:
            target = platform.data_dir / "lake" / key
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.path.read_bytes())

    return put


def by_hand(automation: Automation, folder: Path, rows: int) -> ParquetFile:
    """A month with the contract's columns, of which nothing tells where it came from."""
    contract = automation.platform.catalog.trips["green"]
    trip = {"pickup_datetime": "2020-01-05 10:00:00", "dropoff_datetime": "2020-01-05 10:10:00", "total_amount": "9.5"}
    table = pa.table(
        {it.name: pa.array([trip.get(it.name)] * rows).cast(it.type.arrow) for it in contract.stored_columns}
    )
    path = folder / "by_hand.parquet"
    pq.write_table(table, path)
    return ParquetFile(path)


def test_an_old_month_that_a_run_brings_into_the_lake_is_loaded_once(automation: Automation) -> None:
    automation.platform.run("green_to_lake_job", OLD)
    (run,) = automation.tick(ARRIVALS)
    assert run.success
    assert checks_of(run) == {"table_matches_lake": True, "zone_view_matches_table": True}
    assert (run.dagster_run.job_name, run.dagster_run.tags["dagster/partition"]) == (JOB, OLD)
    assert run.dagster_run.tags["taxi/dataset"] == "green"
    assert run.dagster_run.tags["taxi/cause"] == "arrived in the lake"
    assert metadata_of(run, "warehouse", "green_trips")["source URL"].startswith("sample://")
    assert automation.platform.table("green", OLD).num_rows > 0
    for _ in range(3):
        assert automation.skip_reason(ARRIVALS) == NOTHING


def test_a_month_that_is_run_again_into_the_lake_is_loaded_again_if_its_object_is_another(
    automation: Automation,
) -> None:
    for _ in range(2):
        automation.platform.run("green_to_lake_job", OLD)
        automation.tick(ARRIVALS)
    # A folder's object is a new file each time; in a bucket the same bytes stay the object they are.
    assert len(runs_of(automation.platform, JOB)) == (1 if automation.platform.lake_url else 2)


def test_months_of_the_whole_chain_are_loaded_by_it_alone(automation: Automation) -> None:
    for month in (OLD, NEW):
        automation.platform.run("green_trips_job", month)
        assert automation.skip_reason(ARRIVALS) == NOTHING
    assert runs_of(automation.platform, JOB) == []
    automation.cursors.clear()
    assert automation.skip_reason(ARRIVALS) == NOTHING


def test_an_object_somebody_put_there_is_loaded_once_and_says_that_nobody_knows_its_origin(
    automation: Automation, put: Callable[[str, ParquetFile], None], tmp_path: Path
) -> None:
    put(OLD, by_hand(automation, tmp_path, 7))
    (run,) = automation.tick(ARRIVALS)
    assert run.success
    assert checks_of(run) == {"table_matches_lake": True, "zone_view_matches_table": True}
    told = metadata_of(run, "warehouse", "green_trips")
    assert told["source URL"] == "unknown: somebody else put the object into the lake"
    assert told["edition"] == "unknown"
    assert told["dagster/partition_row_count"] == automation.platform.table("green", OLD).num_rows == 7
    assert automation.skip_reason(ARRIVALS) == NOTHING

    put(OLD, by_hand(automation, tmp_path, 8))
    (run,) = automation.tick(ARRIVALS)
    assert metadata_of(run, "warehouse", "green_trips")["dagster/partition_row_count"] == 8
    assert automation.platform.table("green", OLD).num_rows == 8
    assert automation.skip_reason(ARRIVALS) == NOTHING
    assert len(runs_of(automation.platform, JOB)) == 2


def test_the_object_of_a_run_that_somebody_replaces_is_loaded(
    automation: Automation, put: Callable[[str, ParquetFile], None], tmp_path: Path
) -> None:
    automation.platform.run("green_trips_job", OLD)
    assert automation.skip_reason(ARRIVALS) == NOTHING
    put(OLD, by_hand(automation, tmp_path, 9))
    assert len(automation.tick(ARRIVALS)) == 1
    assert automation.platform.table("green", OLD).num_rows == 9
    assert automation.tick(ARRIVALS) == []


def test_a_load_that_fails_is_asked_for_again_after_growing_pauses_and_at_once_when_the_object_changes(
    automation: Automation, put: Callable[[str, ParquetFile], None], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and then nothing")
    put(OLD, ParquetFile(broken))
    for hours in (1, 6, 24):
        (run,) = automation.tick(ARRIVALS)
        assert not run.success
        assert "no whole Parquet file" in failure_of(run)
        assert not [it for it in run.all_events if it.is_step_up_for_retry]  # trying again mends no file
        assert f"{OLD} was asked for and did not arrive" in automation.skip_reason(ARRIVALS)
        automation.cursors.clear()  # a restart that lost what is remembered
        automation.clock.at += timedelta(hours=hours, seconds=-1)
        assert automation.tick(ARRIVALS) == []
        automation.clock.at += timedelta(seconds=1)
    assert automation.refused == []

    put(OLD, by_hand(automation, tmp_path, 5))
    (run,) = automation.tick(ARRIVALS)
    assert run.success
    assert automation.skip_reason(ARRIVALS) == NOTHING


@pytest.mark.parametrize("job", ["green_trips_job", "green_to_lake_job", JOB])
def test_a_month_that_a_run_is_at_work_for_is_left_for_later(
    automation: Automation, put: Callable[[str, ParquetFile], None], tmp_path: Path, job: str
) -> None:
    for month in (OLD, NEW):
        put(month, by_hand(automation, tmp_path, 3))
    run = start(automation.platform, job, OLD)
    assert automation.months(ARRIVALS) == [NEW]
    assert automation.months(ARRIVALS) == []
    automation.platform.instance.report_run_failed(run)
    assert automation.months(ARRIVALS) == [OLD]
    assert automation.months(ARRIVALS) == []


def test_a_lake_that_holds_years_is_loaded_a_few_months_at_a_time_the_newest_first(
    automation: Automation, put: Callable[[str, ParquetFile], None], tmp_path: Path
) -> None:
    file = by_hand(automation, tmp_path, 1)
    months = [str(it) for it in Month(2020, 1).until(Month(2024, 12))]
    for month in months:
        put(month, file)
    ticks = [automation.months(ARRIVALS) for _ in range(3)]
    assert [len(it) for it in ticks] == [50, 10, 0]
    assert [month for tick in ticks for month in tick] == months[::-1]


def test_what_is_no_month_of_the_dataset_is_passed_over(tmp_path: Path) -> None:
    automation = Automation(Platform(tmp_path / "data", sample_rows=ROWS))
    table = automation.platform.data_dir / "lake" / "green_trips"
    for junk in (
        "_SUCCESS",
        "notes.parquet",
        "source_month=2020-01/notes.parquet",
        "source_month=2020-01/.green_tripdata_2020-01.parquet.work-1/copy",
        "source_month=2020-01/green_tripdata_2020-02.parquet",  # in the wrong month's folder
        "source_month=2020-01/yellow_tripdata_2020-01.parquet",
        "source_month=2020-13/green_tripdata_2020-13.parquet",
        "source_month=2013-07/green_tripdata_2013-07.parquet",  # before the dataset's first month
        "source_month=2999-01/green_tripdata_2999-01.parquet",
        "source_month=2020-03/green_tripdata_2020-03.parquet/part-0.parquet",  # a folder, as Spark writes
    ):
        (table / junk).parent.mkdir(parents=True, exist_ok=True)
        (table / junk).write_bytes(b"?")
    (table / "source_month=2020-04").mkdir()
    (table / "source_month=2020-04" / "green_tripdata_2020-04.parquet").symlink_to("nowhere")
    assert automation.skip_reason(ARRIVALS) == NOTHING


def test_a_platform_that_has_done_nothing_yet_has_nothing_to_load(automation: Automation) -> None:
    assert automation.skip_reason(ARRIVALS) == NOTHING


def test_a_cursor_that_cannot_be_read_costs_nothing_but_another_look(automation: Automation) -> None:
    automation.platform.run("green_trips_job", OLD)
    automation.cursors[ARRIVALS] = "not JSON"
    assert automation.skip_reason(ARRIVALS) == NOTHING


def test_a_file_that_is_restored_with_its_old_time_is_loaded_again(tmp_path: Path) -> None:
    automation = Automation(Platform(tmp_path / "data", sample_rows=ROWS))
    automation.platform.run("green_to_lake_job", OLD)
    lake = open_lake(str(automation.platform.data_dir / "lake"), tmp_path / "cache")
    path = Path(lake.uri(automation.platform.catalog.trips["green"], Month.parse(OLD)))
    backup, other = tmp_path / "backup", tmp_path / "other"
    path.replace(backup)
    other.write_bytes(by_hand(automation, tmp_path, 4).path.read_bytes())
    rows = list[int]()
    for file in (backup, other, backup, other):
        path.unlink(missing_ok=True)
        path.hardlink_to(file)
        (run,) = automation.tick(ARRIVALS)
        rows.append(metadata_of(run, "warehouse", "green_trips")["dagster/partition_row_count"])
    assert rows == [ParquetFile(backup).rows, 4] * 2
    assert automation.refused == []


def test_a_bucket_that_cannot_be_reached_is_a_skip_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    automation = Automation(Platform(tmp_path / "data", lake_url="gs://nowhere"))
    reason = automation.skip_reason(ARRIVALS)
    assert "gs://nowhere" in reason


def test_a_bucket_that_does_not_exist_fails_the_tick(
    google: object,  # noqa: F811
    tmp_path: Path,
) -> None:
    automation = Automation(Platform(tmp_path / "data", lake_url="gs://nowhere"))
    with pytest.raises(LakeError, match="the bucket does not exist"):
        automation.look(ARRIVALS)


def test_a_run_of_another_dataset_is_its_own_sensors_business(automation: Automation) -> None:
    automation.platform.run("yellow_to_lake_job", OLD)
    assert automation.skip_reason(ARRIVALS) == NOTHING
    assert automation.months("yellow_arrivals") == [OLD]
