"""What a person reads when a run cannot go on, and what Dagster tries again."""

import errno
import os
import shutil
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.core.errors import LakeError, TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.core.source import NotPublishedError, UnavailableError
from taxi_platform.failures import reported
from taxi_platform_tests.assets.platform import Platform, failure_of
from taxi_platform_tests.disks import disk

MONTH = "2021-01"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def platform(tmp_path: Path, source: Path) -> Platform:
    return Platform(tmp_path / "data", source=str(source))


def test_a_month_that_is_not_published_is_told_and_not_tried_again(platform: Platform) -> None:
    patient = dg.Definitions.merge(
        platform.defs,
        dg.Definitions(
            jobs=[
                dg.define_asset_job(
                    "patient_job",
                    selection=dg.AssetSelection.assets(["raw", "green_trips"]),
                    op_retry_policy=dg.RetryPolicy(max_retries=3),
                    executor_def=dg.in_process_executor,
                )
            ]
        ),
    )
    result = platform.run("patient_job", MONTH, defs=patient, succeeds=False)
    assert f"green {MONTH}: not published by this source" in failure_of(result)
    assert f"green_tripdata_{MONTH}.csv.gz" in failure_of(result)
    assert [it for it in result.all_events if it.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY] == []
    assert platform.files() == []


def test_a_file_of_another_kind_leaves_the_month_as_it_was(platform: Platform, source: Path) -> None:
    header = ",".join(platform.catalog.trips["green"].layout_of(Month.parse(MONTH), "csv").header)
    row = "2,2021-01-01 00:15:56,2021-01-01 00:19:52,N,1,43,151,1,1.01,5.5,0.5,0.5,0,0,,0.3,6.8,2,1,0"
    file = source / f"green_tripdata_{MONTH}.csv"
    file.write_text(f"{header}\n{row}\n")
    platform.run("green_trips_job", MONTH)
    before = (platform.parquet("cleaned", "green", MONTH).sha256, platform.table("green", MONTH).num_rows)

    file.write_text("name,age\nsomebody,42\n")
    message = failure_of(platform.run("green_trips_job", MONTH, succeeds=False))

    assert f"green {MONTH}: the file has no column for pickup_datetime; it has name, age" in message
    assert (platform.parquet("cleaned", "green", MONTH).sha256, platform.table("green", MONTH).num_rows) == before
    assert platform.table("green", MONTH).num_rows == 1


def test_a_raw_file_that_was_deleted_is_missed_when_it_is_needed(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data")
    platform.run("green_to_lake_job", MONTH)
    shutil.rmtree(platform.data_dir / "lake" / "_raw")  # from where it would be taken
    for layer, path in {
        "raw": platform.raw_folder("green", MONTH) / f"green_tripdata_{MONTH}.csv.gz",
        "lake": platform.in_lake("green", MONTH).path,
        "cleaned": platform.parquet("cleaned", "green", MONTH).path,  # the lake's object would do as well
    }.items():
        path.unlink()
        with pytest.raises(dg.Failure) as raised:
            platform.load(layer, "green", MONTH)
        assert MONTH in str(raised.value.description), layer
        assert "Fix: " in str(raised.value.description), layer
        assert raised.value.allow_retries is False


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (NotPublishedError("not published"), False),
        (UnavailableError("the server fails"), True),
        (LakeError("gone"), False),
        (TaxiPlatformError("wrong"), False),
        (PermissionError(13, "Permission denied", "/data/lake"), False),
        (OSError(28, "No space left on device", "/data/lake"), False),
    ],
)
def test_errors_become_failures_that_are_retried_only_where_that_may_help(error: Exception, retried: bool) -> None:
    with pytest.raises(dg.Failure) as raised, reported("green 2021-01"):
        raise error
    assert raised.value.allow_retries is retried
    # Whoever raised it may not have known the month; the message always does.
    assert str(raised.value.description).startswith("green 2021-01: ")


def test_an_error_that_names_its_subject_is_not_given_another() -> None:
    with pytest.raises(dg.Failure) as raised, reported("green"):
        raise TaxiPlatformError("not here", about="green 2021-01", where="/data", cause="why", fix="do this")
    assert raised.value.description == "green 2021-01: not here at /data. Cause: why. Fix: do this."


def test_a_full_or_read_only_disk_says_which_setting_to_change() -> None:
    with pytest.raises(dg.Failure) as raised, reported("green 2021-01"):
        raise OSError(28, "No space left on device", "/data/lake/file")
    assert "No space left on device at /data/lake/file" in str(raised.value.description)
    assert "Fix: point TAXI_DATA_DIR" in str(raised.value.description)


def test_a_mount_below_the_data_folder_is_no_obstacle_to_a_month(platform: Platform, source: Path) -> None:
    header = ",".join(platform.catalog.trips["green"].layout_of(Month.parse(MONTH), "csv").header)
    row = "2,2021-01-01 00:15:56,2021-01-01 00:19:52,N,1,43,151,1,1.01,5.5,0.5,0.5,0,0,,0.3,6.8,2,1,0"
    (source / f"green_tripdata_{MONTH}.csv").write_text(f"{header}\n{row}\n")
    with disk(platform.data_dir / "quarantine"):
        platform.run("green_trips_job", MONTH)
        assert platform.parquet("quarantine", "green", MONTH).path.exists()
    assert platform.table("green", MONTH).num_rows == 1


def test_each_refusal_of_the_operating_system_has_its_own_fix_and_is_retried_where_that_may_help() -> None:
    fixes: dict[str, bool] = {}
    for number in (errno.EACCES, errno.EROFS, errno.EXDEV, errno.ENAMETOOLONG, errno.EMFILE, errno.EIO, errno.ENOSPC):
        with pytest.raises(dg.Failure) as raised, reported("green 2021-01"):
            raise OSError(number, os.strerror(number), "/data/lake/file")
        told = str(raised.value.description)
        assert told.startswith(f"green 2021-01: {os.strerror(number)} at /data/lake/file. Cause: ")
        fixes[told.partition("Fix: ")[2]] = raised.value.allow_retries
    assert len(fixes) == 7
    assert list(fixes.values()) == [False, False, False, False, True, False, False]


def test_a_mistake_in_the_platform_fails_once_and_shows_where_it_is() -> None:
    with pytest.raises(dg.Failure) as raised, reported("green 2021-01"):
        _ = 1 / 0
    assert raised.value.allow_retries is False
    assert str(raised.value.description).startswith(
        "green 2021-01: ZeroDivisionError: division by zero. Cause: a mistake"
    )
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("error", [dg.Failure("green 2021-01: gone", allow_retries=True), dg.RetryRequested(2)])
def test_what_is_a_failure_already_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, reported("green"):
        raise error
    assert raised.value is error
