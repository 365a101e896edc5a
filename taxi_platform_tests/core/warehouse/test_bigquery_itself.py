"""What nobody can know of BigQuery and Cloud Storage without an account, asked of them (`-m live`).

The stand-ins take the worse answer to each of these, and the platform does not depend on the better one. Wanted are
`TAXI_TEST_BIGQUERY_URL=bigquery://project/dataset` and Google's credentials; and for the questions about buckets
`TAXI_TEST_GCS_URL=gs://bucket[/prefix]`, `TAXI_TEST_RETAINED_GCS_URL` (a bucket with a retention policy) and
`TAXI_TEST_OBJECT_USER_KEY` (the key file of an account with no roles but roles/storage.objectUser on the first bucket,
roles/bigquery.dataEditor and roles/bigquery.jobUser). A question whose variable is not set is left out.
"""

import os
from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from google.api_core.exceptions import Forbidden, NotFound
from google.cloud import bigquery
from google.cloud.bigquery.schema import SchemaField

from taxi_platform.core.errors import LakeError, WarehouseError
from taxi_platform.core.google import ApplicationDefault
from taxi_platform.core.lake import open_lake
from taxi_platform.core.lake.gcs import GCSLake
from taxi_platform.core.measures import measure_file
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse.bigquery import BigQueryWarehouse, of_months
from taxi_platform_tests.core.warehouse.bigquery_live import VARIABLE, live_dataset
from taxi_platform_tests.core.warehouse.months import (
    COLUMNS,
    FEBRUARY,
    JANUARY,
    contract_of,
    month_file,
    numbered_file,
)

BUCKET, RETAINED, OBJECT_USER = "TAXI_TEST_GCS_URL", "TAXI_TEST_RETAINED_GCS_URL", "TAXI_TEST_OBJECT_USER_KEY"
CONTRACT = contract_of({**COLUMNS, "pickup_location_id": "int32"})


def asked_with(*variables: str) -> pytest.MarkDecorator:
    missing = [name for name in variables if name not in os.environ]
    return pytest.mark.skipif(bool(missing), reason=f"not set: {', '.join(missing)}")


pytestmark = [pytest.mark.live, asked_with(VARIABLE)]


@pytest.fixture
def warehouse(bigquery_itself: str) -> BigQueryWarehouse:
    return opened(bigquery_itself)


@pytest.fixture
def trips(tmp_path: Path) -> ParquetFile:
    rows = [{"trip_number": number, "pickup_location_id": number, "note": "x" * 1_000} for number in range(1_000)]
    return month_file(CONTRACT, JANUARY, rows, tmp_path / "trips")


@pytest.fixture
def lake(tmp_path: Path) -> Generator[GCSLake, None, None]:
    """A folder of its own in the bucket, emptied at the end."""
    lake = open_lake(f"{os.environ[BUCKET].rstrip('/')}/{uuid4().hex}", tmp_path / "cache")
    assert isinstance(lake, GCSLake)
    yield lake
    bucket = lake.google.storage().bucket(lake.bucket)
    for blob in bucket.list_blobs(prefix=f"{lake.prefix}/"):
        blob.delete()


def opened(url: str) -> BigQueryWarehouse:
    return BigQueryWarehouse.of_url(url, None, ApplicationDefault())


def stored(warehouse: BigQueryWarehouse) -> bigquery.Table:
    return warehouse.dataset.client.get_table(warehouse.dataset.table(CONTRACT.table))


def test_an_empty_month_empties_its_partition_and_no_other(
    warehouse: BigQueryWarehouse, trips: ParquetFile, tmp_path: Path
) -> None:
    february = month_file(CONTRACT, FEBRUARY, [{"trip_number": 1}], tmp_path / "february")
    warehouse.replace_month(CONTRACT, JANUARY, trips)
    warehouse.replace_month(CONTRACT, FEBRUARY, february)
    for _ in range(2):
        assert warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, [], tmp_path / "empty")) == 0
        assert warehouse.measure_month(CONTRACT, JANUARY).rows == 0
    assert warehouse.measure_month(CONTRACT, FEBRUARY).rows == 1


def test_a_month_takes_nulls_for_the_columns_it_lacks(warehouse: BigQueryWarehouse, trips: ParquetFile) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, trips)
    table = stored(warehouse)
    kinds = ("STRING", "BYTES", "INT64", "FLOAT64", "BOOL", "DATETIME", "TIMESTAMP", "DATE", "TIME", "NUMERIC")
    plain = [SchemaField(f"of_{kind.lower()}", kind) for kind in kinds]
    others = [SchemaField("of_json", "JSON"), SchemaField("of_many", "STRING", mode="REPEATED")]  # not in the file
    table.schema = [*table.schema, *plain, *others]
    warehouse.dataset.client.update_table(table, ["schema"])
    assert warehouse.replace_month(CONTRACT, JANUARY, trips) == trips.rows


def test_times_far_ahead_are_the_wall_clock_they_were(warehouse: BigQueryWarehouse, tmp_path: Path) -> None:
    times = [datetime(2041, 11, 17, 3, 4, 5, 678901), datetime(1900, 1, 1), datetime(9999, 12, 31, 23, 59, 59)]
    file = month_file(CONTRACT, JANUARY, [{"pickup_datetime": it} for it in times], tmp_path / "times")
    warehouse.replace_month(CONTRACT, JANUARY, file)
    found = warehouse.read_months(CONTRACT, [JANUARY]).column("pickup_datetime").to_pylist()
    assert sorted(filter(None, found)) == sorted(times)
    measured = warehouse.measure_month(CONTRACT, JANUARY)
    assert list(measured.differences(measure_file(file, CONTRACT.stored_columns, tmp_path))) == []


def test_a_job_nobody_knows_is_not_found_or_not_to_be_seen(warehouse: BigQueryWarehouse) -> None:
    dataset = warehouse.dataset
    with pytest.raises((NotFound, Forbidden)):
        dataset.client.get_job(f"taxi-{uuid4().hex}", location=dataset.location)


@asked_with(BUCKET)
def test_a_bucket_in_another_place_than_the_dataset_is_told_as_that(lake: GCSLake, trips: ParquetFile) -> None:
    there = str(lake.google.storage().get_bucket(lake.bucket).location)
    lake.put(CONTRACT, JANUARY, trips)
    with live_dataset("US" if there.startswith("EU") else "EU") as url:
        # If it is loaded all the same (the US may read from everywhere), that is as good.
        try:
            assert opened(url).replace_month(CONTRACT, JANUARY, lake.get(CONTRACT, JANUARY)) == trips.rows
        except WarehouseError as error:
            assert "different places" in str(error)


def test_a_dataset_whose_partitions_expire_is_refused(warehouse: BigQueryWarehouse, trips: ParquetFile) -> None:
    found = warehouse.dataset.look()
    found.default_partition_expiration_ms = int(timedelta(days=60) / timedelta(milliseconds=1))
    warehouse.dataset.client.update_dataset(found, ["default_partition_expiration_ms"])
    with pytest.raises(WarehouseError, match=r"kept for 60 days.*--default_partition_expiration 0"):
        warehouse.replace_month(CONTRACT, Month(2009, 1), trips)


def test_a_table_whose_partitions_do_not_expire_keeps_its_oldest_months(
    warehouse: BigQueryWarehouse, tmp_path: Path
) -> None:
    oldest = Month(2009, 1)
    warehouse.replace_month(CONTRACT, oldest, month_file(CONTRACT, oldest, [{"trip_number": 1}], tmp_path / "oldest"))
    table = stored(warehouse)
    assert table.time_partitioning is not None
    assert (table.expires, table.time_partitioning.expiration_ms) == (None, None)
    assert warehouse.measure_month(CONTRACT, oldest).rows == 1


@asked_with(RETAINED)
def test_a_month_that_a_bucket_must_keep_is_told_as_that(trips: ParquetFile, tmp_path: Path) -> None:
    lake = open_lake(f"{os.environ[RETAINED].rstrip('/')}/{uuid4().hex}", tmp_path / "cache")
    lake.put(CONTRACT, JANUARY, trips)
    with pytest.raises(LakeError, match="the bucket keeps its objects") as raised:
        lake.put(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, [], tmp_path / "other"))
    assert not raised.value.may_pass_later


def test_clustering_words_and_labels_outlive_a_load(warehouse: BigQueryWarehouse, trips: ParquetFile) -> None:
    for _ in range(2):
        warehouse.replace_month(CONTRACT, JANUARY, trips)
        table = stored(warehouse)
        assert (table.clustering_fields, table.labels) == (["pickup_location_id"], {"dataset": "probe"})
        assert {it.name for it in table.schema if not it.description} <= {"source_month"}


def test_a_query_of_one_month_reads_half_of_what_two_months_are(
    warehouse: BigQueryWarehouse, trips: ParquetFile, tmp_path: Path
) -> None:
    contract = contract_of()
    months = [JANUARY, FEBRUARY, Month(2021, 5)]
    for month in months:
        warehouse.replace_month(contract, month, numbered_file(contract, month, 1_000, "n", tmp_path / str(month)))

    def read(*wanted: Month) -> int:
        condition, parameters = of_months(wanted)
        job = warehouse.dataset.client.query(
            f"SELECT trip_number FROM {warehouse.dataset.sql(contract.table)} WHERE {condition}",
            job_config=bigquery.QueryJobConfig(dry_run=True, query_parameters=parameters),
            location=warehouse.dataset.location,
        )
        return int(job.total_bytes_processed or 0)

    one = read(JANUARY)
    assert one > 0
    assert [read(JANUARY, FEBRUARY), read(JANUARY, Month(2021, 5)), read(*months)] == [2 * one, 2 * one, 3 * one]


@asked_with(BUCKET, OBJECT_USER)
def test_an_account_that_may_only_use_objects_can_load_from_the_bucket(
    lake: GCSLake, bigquery_itself: str, trips: ParquetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", os.environ[OBJECT_USER])
    fresh = GCSLake(lake.bucket, lake.prefix, lake.cache, ApplicationDefault())
    fresh.put(CONTRACT, JANUARY, trips)
    assert opened(bigquery_itself).replace_month(CONTRACT, JANUARY, fresh.get(CONTRACT, JANUARY)) == trips.rows
