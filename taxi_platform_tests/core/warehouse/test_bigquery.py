"""What is particular to BigQuery as a warehouse: partitions, jobs that outlive their process, bills and permissions."""

import json
import threading
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud import bigquery
from google.cloud.bigquery.schema import SchemaField
from sqlglot import exp

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.google import ApplicationDefault
from taxi_platform.core.lake.gcs import GCSLake
from taxi_platform.core.measures import measure_file
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.reference import read_reference_file
from taxi_platform.core.warehouse.bigquery import BigQueryWarehouse, loads, tables
from taxi_platform.core.warehouse.bigquery.loads import Load
from taxi_platform_tests.core.cleaning.months import raw_file
from taxi_platform_tests.core.lake.gcs_server import Fault, GoogleStorage, running_storage
from taxi_platform_tests.core.warehouse import bigquery_store
from taxi_platform_tests.core.warehouse.bigquery_server import (
    LOCATION,
    PROJECT,
    BigQueryServer,
    bigquery_server,
    write_key,
)
from taxi_platform_tests.core.warehouse.bigquery_store import RefusedError
from taxi_platform_tests.core.warehouse.months import (
    COLUMNS,
    FEBRUARY,
    JANUARY,
    MARCH,
    contract_of,
    month_file,
    numbered_file,
    rows_in,
)
from taxi_platform_tests.core.warehouse.processes import SPAWN, replace_month

ZONES = load_catalog().zones
PLACES = {"trip_number": "int64", "pickup_location_id": "int32", "dropoff_location_id": "int32"}
CONTRACT = contract_of({**COLUMNS, **PLACES})
TABLE = CONTRACT.table
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[BigQueryServer, None, None]:
    with bigquery_server(tmp_path_factory.mktemp("bigquery")) as server:
        yield server


@pytest.fixture
def server(running: BigQueryServer) -> Generator[BigQueryServer, None, None]:
    running.store.jobs.clear()
    running.requests.clear()
    yield running
    running.unavailable, running.lost, running.forbidden = 0, 0, False
    running.refused, running.hidden = None, 0
    running.store.slow, running.store.failing, running.store.has_billing = 0.0, [], True


@pytest.fixture
def url(server: BigQueryServer) -> str:
    return server.url()


@pytest.fixture
def warehouse(url: str) -> BigQueryWarehouse:
    return opened(url)


@pytest.fixture
def january(tmp_path: Path) -> ParquetFile:
    rows = [{"trip_number": number, "pickup_location_id": 1, "note": "Zürich 🚕"} for number in (1, 2, 3)]
    return month_file(CONTRACT, JANUARY, rows, tmp_path / "lake" / "january.parquet")


def opened(url: str, **how: Any) -> BigQueryWarehouse:
    warehouse = BigQueryWarehouse.of_url(url, ZONES, ApplicationDefault())
    return replace(warehouse, dataset=replace(warehouse.dataset, **how))


def numbers_in(warehouse: BigQueryWarehouse) -> list[int]:
    return [number for (number,) in rows_in(warehouse.read_months(CONTRACT, [JANUARY]), "trip_number")]


def one_trip(number: int, folder: Path) -> ParquetFile:
    return month_file(CONTRACT, JANUARY, [{"trip_number": number}], folder / f"{number}.parquet")


# Tables.


def test_a_table_is_partitioned_clustered_and_labelled(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, january: ParquetFile
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)

    table = server.table(url, TABLE)
    assert table["timePartitioning"] == {"type": "MONTH", "field": "source_month"}
    assert table["clustering"] == {"fields": ["pickup_location_id"]}
    assert table["labels"] == {"dataset": "probe"}
    kinds = {it["name"]: it["type"] for it in table["schema"]["fields"]}
    assert kinds["source_month"] == "DATE"
    assert kinds["pickup_datetime"] == "DATETIME"
    assert (kinds["vendor_id"], kinds["fare_amount"], kinds["note"]) == ("INTEGER", "FLOAT", "STRING")


def test_a_dataset_that_knows_no_places_is_not_clustered_and_has_no_view(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, tmp_path: Path
) -> None:
    contract = contract_of(dataset="nowhere")
    warehouse.replace_month(contract, JANUARY, month_file(contract, JANUARY, [], tmp_path / "month"))
    assert "clustering" not in server.table(url, contract.table)
    assert [name for dataset, name in server.store.tables if url.endswith(dataset)] == [contract.table]


def test_a_long_description_is_cut_where_bigquery_would_refuse_it(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, tmp_path: Path
) -> None:
    wordy = contract_of(description="word " * 500)
    for _ in range(2):
        warehouse.replace_month(wordy, JANUARY, month_file(wordy, JANUARY, [], tmp_path / "month"))
    words = server.comments(url, TABLE)["note"]
    assert len(words) == 1024
    assert words.endswith("…")
    assert not [path for method, path in server.requests if method == "PATCH"]  # there was nothing to mend


def test_columns_and_labels_people_added_to_the_table_stay(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    client = warehouse.dataset.client
    table = client.get_table(warehouse.dataset.table(TABLE))
    table.schema = [*table.schema, SchemaField("remark", "STRING", description="Ours.")]
    table.labels = {"dataset": "probe", "team": "analysts"}
    client.update_table(table, ["schema", "labels"])

    grown = contract_of({**COLUMNS, **PLACES, "cbd_congestion_fee": "float64"})
    warehouse.replace_month(grown, JANUARY, month_file(grown, JANUARY, [{"cbd_congestion_fee": 0.75}], tmp_path / "g"))

    assert server.table(url, TABLE)["labels"] == {"dataset": "probe", "team": "analysts"}
    comments = server.comments(url, TABLE)
    assert comments["remark"] == "Ours."
    assert comments["cbd_congestion_fee"] == grown.column("cbd_congestion_fee").full_description
    assert warehouse.read_months(grown, [JANUARY]).column("cbd_congestion_fee").to_pylist() == [0.75]
    server.requests.clear()
    warehouse.replace_month(grown, JANUARY, month_file(grown, JANUARY, [], tmp_path / "again"))
    assert "PATCH" not in {method for method, _ in server.requests}, "what is as it should be is not said again"


def test_a_change_that_somebody_else_makes_in_this_very_moment_stays_beside_ours(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    theirs, dataset = {"labels": {"team": "analysts"}}, warehouse.dataset.name
    server.meanwhile.append(lambda: server.store.patch_table(dataset, TABLE, theirs, None))
    grown = contract_of({**COLUMNS, **PLACES, "cbd_congestion_fee": "float64"})
    warehouse.replace_month(grown, JANUARY, month_file(grown, JANUARY, [{"trip_number": 1}], tmp_path / "g"))
    assert not server.meanwhile
    assert server.table(url, TABLE)["labels"] == {"dataset": "probe", "team": "analysts"}
    assert "cbd_congestion_fee" in warehouse.columns_of(grown)


def test_a_text_becomes_a_label_that_bigquery_takes() -> None:
    assert tables.label("Run 7/Ü") == "run_7__"
    assert tables.label("x" * 64) == "x" * 63


def test_a_table_without_partitions_is_named_and_left_alone(warehouse: BigQueryWarehouse, january: ParquetFile) -> None:
    fields = [SchemaField("source_month", "DATE"), SchemaField("trip_number", "INT64")]
    warehouse.dataset.client.create_table(bigquery.Table(warehouse.dataset.table(TABLE), schema=fields))
    with pytest.raises(WarehouseError, match=r"not partitioned by the month of source_month.*Fix: drop or rename"):
        warehouse.replace_month(CONTRACT, JANUARY, january)


def test_a_file_with_a_column_the_contract_does_not_know_is_refused(
    warehouse: BigQueryWarehouse, server: BigQueryServer, tmp_path: Path
) -> None:
    wider = contract_of({**COLUMNS, **PLACES, "surprise": "string"})
    file = month_file(wider, JANUARY, [{"surprise": "!"}], tmp_path / "month")
    with pytest.raises(WarehouseError, match=r"does not know: surprise; the table is as it was"):
        warehouse.replace_month(CONTRACT, JANUARY, file)
    assert not server.jobs("load")


def test_the_view_names_zones_and_gains_what_the_table_gains(
    warehouse: BigQueryWarehouse, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    with pytest.raises(WarehouseError, match=r"has no table .*taxi_zones.*Fix: materialize"):
        warehouse.read_reference(ZONES)
    warehouse.replace_reference(ZONES, zones())
    view = warehouse.dataset.sql(f"{TABLE}_with_zones")
    client = warehouse.dataset.client
    found = client.query_and_wait(f"SELECT trip_number, pickup_zone, dropoff_zone FROM {view} ORDER BY 1")
    assert [row.values() for row in found] == [(number, "Newark Airport", None) for number in (1, 2, 3)]

    grown = contract_of({**COLUMNS, **PLACES, "cbd_congestion_fee": "float64"})
    warehouse.replace_month(
        grown, FEBRUARY, month_file(grown, FEBRUARY, [{"cbd_congestion_fee": 0.75}], tmp_path / "g")
    )
    found = client.query_and_wait(f"SELECT cbd_congestion_fee FROM {view} ORDER BY 1 NULLS LAST")
    assert [row.values() for row in found] == [(0.75,), (None,), (None,), (None,)]


def test_comparing_the_view_with_its_table_reads_the_month_alone(
    warehouse: BigQueryWarehouse,
    server: BigQueryServer,
    january: ParquetFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bigquery_store, "_LEAST_BILLED", 0)

    def billed() -> int:
        assert warehouse.measure_zone_view(CONTRACT, JANUARY) is not None
        return int(server.jobs("query")[-1]["statistics"]["query"]["totalBytesBilled"])

    warehouse.replace_month(CONTRACT, JANUARY, january)
    warehouse.replace_reference(ZONES, zones())
    alone = billed()
    many = month_file(CONTRACT, FEBRUARY, [{"trip_number": number} for number in range(1_000)], tmp_path / "many")
    warehouse.replace_month(CONTRACT, FEBRUARY, many)

    assert 0 < alone == billed()


def test_a_view_of_an_older_version_is_replaced_with_the_next_month(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, january: ParquetFile
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    ids = zones().slice(0, 2)
    warehouse.replace_reference(ZONES, pa.concat_tables([ids, ids]))
    trips, lookup, name = (warehouse.dataset.sql(it) for it in (TABLE, ZONES.table, f"{TABLE}_with_zones"))
    client = warehouse.dataset.client
    view = client.get_table(warehouse.dataset.table(f"{TABLE}_with_zones"))
    view.view_query = (
        f"SELECT trips.*, zones.zone AS pickup_zone FROM {trips} AS trips "
        f"LEFT JOIN {lookup} AS zones ON zones.location_id = trips.pickup_location_id"
    )
    client.update_table(view, ["view_query"])
    count = f"SELECT COUNT(*) FROM {name}"
    assert [row.values() for row in client.query_and_wait(count)] == [(6,)]

    warehouse.replace_month(CONTRACT, JANUARY, january)

    assert [row.values() for row in client.query_and_wait(count)] == [(3,)]


def test_a_reference_table_keeps_its_words_and_labels_when_it_is_replaced(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str
) -> None:
    for _ in range(2):
        assert warehouse.replace_reference(ZONES, zones()) == ZONES.rows
        assert server.comments(url, ZONES.table) == {"": ZONES.description} | {
            column.name: column.full_description for column in ZONES.columns
        }
        assert server.table(url, ZONES.table)["labels"] == {"dataset": "taxi_zones"}
    assert warehouse.read_reference(ZONES).equals(zones())


# What expires.

DAY = 24 * 60 * 60 * 1000  # milliseconds


@pytest.mark.parametrize(
    ("default", "command"),
    [
        ("defaultPartitionExpirationMs", "bq update --default_partition_expiration 0"),
        ("defaultTableExpirationMs", "bq update --default_table_expiration 0"),
    ],
)
def test_a_dataset_whose_new_tables_expire_is_refused_before_anything_is_made(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, default: str, command: str
) -> None:
    dataset = warehouse.dataset.name
    server.store.defaults[dataset] = {default: str(60 * DAY)}
    for write in (
        lambda: warehouse.replace_month(CONTRACT, JANUARY, january),
        lambda: warehouse.replace_reference(ZONES, zones()),
    ):
        with pytest.raises(WarehouseError, match=r"what is made in it expire.*kept for 60 days") as raised:
            write()
        assert f"{command} {PROJECT}:{dataset}" in str(raised.value)
        assert not raised.value.may_pass_later
    assert not [name for owner, name in server.store.tables if owner == dataset]

    del server.store.defaults[dataset]
    assert warehouse.replace_month(CONTRACT, JANUARY, january) == 3


def test_a_table_that_was_made_before_its_dataset_began_to_expire_goes_on(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    server.store.defaults[warehouse.dataset.name] = {"defaultPartitionExpirationMs": str(DAY)}
    assert warehouse.replace_month(CONTRACT, JANUARY, january) == 3


def test_in_a_project_without_billing_the_first_month_is_refused_and_not_loaded_to_vanish(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    server.store.has_billing = False
    with pytest.raises(WarehouseError, match=r"partitions are kept for 60 days.*link a billing account"):
        warehouse.replace_month(CONTRACT, JANUARY, january)
    assert not server.jobs("load")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"timePartitioning": {"type": "MONTH", "field": "source_month", "expirationMs": str(90 * DAY)}},
            "kept for 90 days.*bq update --time_partitioning_expiration 0 {name}, or ALTER TABLE .* SET OPTIONS "
            r"\(partition_expiration_days = NULL\)",
        ),
        (
            {"expirationTime": str(4_102_444_800_000)},
            "deleted at 2100-01-01 00:00 UTC.*bq update --expiration 0 {name}, or ALTER TABLE .* SET OPTIONS "
            r"\(expiration_timestamp = NULL\)",
        ),
    ],
)
def test_a_table_that_expires_is_refused_with_the_command_that_mends_it_and_can_be_read(
    warehouse: BigQueryWarehouse,
    server: BigQueryServer,
    url: str,
    january: ParquetFile,
    changes: dict[str, Any],
    said: str,
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    server.table(url, TABLE).update(changes)
    loads = len(server.jobs("load"))
    with pytest.raises(WarehouseError, match=said.format(name=f"{PROJECT}:{warehouse.dataset.name}.{TABLE}")):
        warehouse.replace_month(CONTRACT, JANUARY, january)
    assert len(server.jobs("load")) == loads
    assert numbers_in(warehouse) == [1, 2, 3]


@pytest.mark.parametrize("name", [ZONES.table, f"{TABLE}_with_zones"])
def test_a_lookup_or_a_view_that_expires_is_refused_by_name(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, january: ParquetFile, name: str
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    server.table(url, name)["expirationTime"] = "4102444800000"
    with pytest.raises(WarehouseError, match=f"`{name}` expires.*bq update --expiration 0 .*{name}"):
        warehouse.replace_month(CONTRACT, JANUARY, january)


# Months of no rows, and columns of others.


def test_an_empty_month_takes_the_old_rows_away_and_no_other_month(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    warehouse.replace_month(CONTRACT, FEBRUARY, month_file(CONTRACT, FEBRUARY, [{"trip_number": 9}], tmp_path / "f"))
    loads = len(server.jobs("load"))
    empty = month_file(CONTRACT, JANUARY, [], tmp_path / "empty")

    for _ in range(2):  # the second time there is nothing to take away
        assert warehouse.replace_month(CONTRACT, JANUARY, empty) == 0
        assert warehouse.measure_month(CONTRACT, JANUARY).rows == 0

    assert warehouse.measure_month(CONTRACT, FEBRUARY).rows == 1
    assert len(server.jobs("load")) == loads
    deleted = [path.rpartition("/")[2] for method, path in server.requests if method == "DELETE"]
    assert deleted == [f"{TABLE}$202101"] * 2


def test_an_empty_month_waits_for_the_load_of_a_process_that_was_killed(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    server.store.slow = 1.5
    process = SPAWN.Process(target=replace_month, args=(url, CONTRACT, JANUARY, [one_trip(7, tmp_path).path], None))
    process.start()
    while len(server.jobs("load")) < 2:
        time.sleep(0.01)
    process.kill()
    process.join()

    warehouse.replace_month(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, [], tmp_path / "empty"))

    assert [job["status"]["state"] for job in server.jobs("load")] == ["DONE"] * 2
    assert warehouse.measure_month(CONTRACT, JANUARY).rows == 0


def test_columns_of_the_table_that_a_month_lacks_are_null_whoever_added_them(
    warehouse: BigQueryWarehouse, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    kinds = ("STRING", "INT64", "FLOAT64", "BOOL", "BYTES", "DATE", "DATETIME", "TIMESTAMP", "TIME", "NUMERIC")
    add_columns(warehouse, TABLE, *(SchemaField(f"of_{kind.lower()}", kind) for kind in kinds))
    older = contract_of({name: kind for name, kind in COLUMNS.items() if name != "note"})

    assert warehouse.replace_month(CONTRACT, JANUARY, january) == 3
    assert warehouse.replace_month(older, FEBRUARY, month_file(older, FEBRUARY, [{"trip_number": 9}], tmp_path / "o"))

    rows = warehouse.dataset.client.query_and_wait(f"SELECT * FROM {warehouse.dataset.sql(TABLE)} ORDER BY trip_number")
    found = [dict(row.items()) for row in rows]
    assert [row["trip_number"] for row in found] == [1, 2, 3, 9]
    assert {row[f"of_{kind.lower()}"] for row in found for kind in kinds} == {None}
    assert [row["note"] for row in found] == ["Zürich 🚕"] * 3 + [None]


def test_columns_that_hold_lists_are_left_to_bigquery_as_parquet_has_no_plain_null_of_them(
    warehouse: BigQueryWarehouse,
) -> None:
    table = bigquery.Table(
        warehouse.dataset.table(TABLE),
        schema=[
            SchemaField("tags", "STRING", mode="REPEATED"),
            SchemaField("it", "RECORD"),
            SchemaField("a", "STRING"),
        ],
    )
    assert tables.others_of(warehouse.dataset, CONTRACT, table, []) == {"a": "VARCHAR"}


def test_a_file_whose_footer_names_more_rows_than_are_staged_changes_nothing(
    warehouse: BigQueryWarehouse, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    file = one_trip(9, tmp_path)
    assert file.rows == 1  # as the footer says; then the bytes become those of another month
    month_file(CONTRACT, JANUARY, [], file.path)
    with pytest.raises(WarehouseError, match="probe 2021-01: the store wrote 0 rows of 1; the table is as it was"):
        warehouse.replace_month(CONTRACT, JANUARY, file)
    assert numbers_in(warehouse) == [1, 2, 3]


def test_a_lookup_keeps_the_columns_people_added_to_it(warehouse: BigQueryWarehouse) -> None:
    warehouse.replace_reference(ZONES, zones())
    add_columns(warehouse, ZONES.table, SchemaField("remark", "STRING", description="Ours."))
    assert warehouse.replace_reference(ZONES, zones()) == ZONES.rows
    fields = warehouse.dataset.client.get_table(warehouse.dataset.table(ZONES.table)).schema
    assert [(it.name, it.description) for it in fields][-1] == ("remark", "Ours.")
    assert warehouse.read_reference(ZONES).equals(zones())


def test_columns_that_must_have_a_value_and_have_none_are_named_and_nothing_is_loaded(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    loads = len(server.jobs("load"))
    add_columns(
        warehouse, TABLE, SchemaField("batch", "STRING", mode="REQUIRED"), SchemaField("loader", "INT64", "REQUIRED")
    )
    with pytest.raises(WarehouseError, match=r"wants a value in columns.*: batch, loader; it is as it was") as raised:
        warehouse.replace_month(CONTRACT, JANUARY, january)
    assert f"ALTER TABLE {warehouse.dataset.sql(TABLE)} ALTER COLUMN `batch` DROP NOT NULL" in str(raised.value)
    assert len(server.jobs("load")) == loads


def add_columns(warehouse: BigQueryWarehouse, name: str, *columns: SchemaField) -> None:
    client = warehouse.dataset.client
    table = client.get_table(warehouse.dataset.table(name))
    table.schema = [*table.schema, *columns]
    client.update_table(table, ["schema"])


# Jobs.


def test_a_month_is_one_load_job_and_no_query(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    labelled = replace(warehouse, labels={"run": "2F9C:a run/of ours" + "x" * 80})

    labelled.replace_month(CONTRACT, JANUARY, january)

    (job,) = server.jobs("load")
    load, labels = job["configuration"]["load"], job["configuration"]["labels"]
    assert load["destinationTable"]["tableId"] == f"{TABLE}$202101"
    assert load["writeDisposition"] == "WRITE_TRUNCATE"
    assert job["jobReference"]["location"] == LOCATION
    assert labels["dataset"] == "probe"
    assert labels["month"] == "2021-01"
    assert labels["run"] == ("2f9c_a_run_of_ours" + "x" * 80)[:63]
    assert not server.jobs("query")
    assert not [path for method, path in server.requests if method == "PATCH"]
    assert sorted(it.name for it in january.path.parent.iterdir()) == ["january.parquet"]


def test_a_large_file_is_sent_in_an_upload_that_can_be_resumed(
    warehouse: BigQueryWarehouse, server: BigQueryServer, tmp_path: Path
) -> None:
    contract = contract_of()
    file = numbered_file(contract, JANUARY, 250_000, "large", tmp_path / "large")
    assert file.bytes > 6 << 20

    assert warehouse.replace_month(contract, JANUARY, file) == 250_000

    assert [method for method, path in server.requests if path.startswith("/upload/sessions/")] == ["PUT"]
    measured = warehouse.measure_month(contract, JANUARY)
    assert list(measured.differences(measure_file(file, contract.stored_columns, tmp_path))) == []


@pytest.mark.parametrize("in_bucket", [False, True])
def test_a_lost_answer_does_not_load_twice(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, tmp_path: Path, in_bucket: bool
) -> None:
    with bucket_of(january, tmp_path) as (_, file):
        server.lost = 1
        assert warehouse.replace_month(CONTRACT, JANUARY, file if in_bucket else january) == 3
    assert server.lost == 0
    assert len(server.jobs("load")) == 1
    assert numbers_in(warehouse) == [1, 2, 3]


def test_the_same_content_is_loaded_again_when_somebody_wants_it(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, tmp_path: Path
) -> None:
    for file in (january, one_trip(7, tmp_path), january):
        warehouse.replace_month(CONTRACT, JANUARY, file)
    assert numbers_in(warehouse) == [1, 2, 3]
    assert len(server.jobs("load")) == 3


def test_a_load_whose_process_was_killed_never_ends_after_the_next_one(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    server.store.slow = 2.0
    process = SPAWN.Process(target=replace_month, args=(url, CONTRACT, JANUARY, [one_trip(7, tmp_path).path], None))
    process.start()
    while len(server.jobs("load")) < 2:
        time.sleep(0.01)
    process.kill()
    process.join()
    assert numbers_in(warehouse) == [1, 2, 3]

    server.store.slow = 0.0  # if it did not wait, this load would be done first
    warehouse.replace_month(CONTRACT, JANUARY, one_trip(8, tmp_path))

    assert [job["status"]["state"] for job in server.jobs("load")] == ["DONE"] * 3
    assert numbers_in(warehouse) == [8]


def test_loads_of_the_day_before_are_waited_for_too_also_by_a_month_without_rows(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    ((_, job),) = server.store.jobs.items()
    today = datetime.now(UTC).date()
    job_id = job["id"].replace(f"{today:%Y%m%d}", f"{today - timedelta(days=1):%Y%m%d}")
    reference = {**job["jobReference"], "jobId": job_id}
    server.store.jobs = {job_id: {**job, "id": job_id, "jobReference": reference, "status": {"state": "RUNNING"}}}

    for file in (january, month_file(CONTRACT, JANUARY, [], tmp_path / "empty")):
        with pytest.raises(WarehouseError, match=f"load job {job_id} had not ended"):
            opened(url, patience=0.3).replace_month(CONTRACT, JANUARY, file)


def test_a_number_that_a_job_of_another_account_has_is_passed_over(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    (job,) = server.jobs("load")
    job["_of_another_account"] = True

    warehouse.replace_month(CONTRACT, JANUARY, january)

    assert len(server.jobs("load")) == 2


def test_a_job_that_is_not_known_yet_when_it_is_looked_at_is_looked_at_again(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    server.store.slow = 0.2

    def hide_the_first_job() -> None:
        while not server.jobs("load"):
            time.sleep(0.001)
        server.hidden = 2

    hiding = threading.Thread(target=hide_the_first_job)
    hiding.start()
    assert warehouse.replace_month(CONTRACT, JANUARY, january) == 3
    hiding.join()
    assert server.hidden == 0
    assert len(server.jobs("load")) == 1


def test_a_job_that_stays_unknown_is_told_as_a_job_and_not_as_a_dataset(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loads, "UNKNOWN_FOR", 0.2)
    server.store.slow, server.hidden = 1.0, 1_000
    with pytest.raises(WarehouseError, match=r"is not known to BigQuery, which has accepted it.*bq show -j") as raised:
        warehouse.replace_month(CONTRACT, JANUARY, january)
    assert "bq mk" not in str(raised.value)
    assert raised.value.may_pass_later


def test_a_job_whose_number_is_taken_and_which_is_not_known_yet_is_found_and_not_submitted_twice(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    server.lost, server.hidden = 1, 3  # accepted, but nobody heard of it; "you have it already", but not yet to be seen
    assert warehouse.replace_month(CONTRACT, JANUARY, january) == 3
    assert (server.lost, server.hidden) == (0, 0)
    assert len(server.jobs("load")) == 1


def test_a_number_that_another_load_takes_in_this_very_moment_is_that_loads_and_ours_is_the_next(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    server.hidden = 1  # not there when it was looked for, and taken when it was asked for
    warehouse.replace_month(CONTRACT, JANUARY, one_trip(9, tmp_path))
    assert server.hidden == 0
    assert [job["id"].rpartition("-")[2] for job in server.jobs("load")] == ["1", "2"]
    assert numbers_in(warehouse) == [9]


def test_a_month_that_is_loaded_more_often_than_bigquery_allows_in_a_day_is_told(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loads.LOADS_A_DAY == 30_000  # https://cloud.google.com/bigquery/quotas#partitioned_tables
    monkeypatch.setattr(loads, "LOADS_A_DAY", 2)
    for _ in range(2):
        warehouse.replace_month(CONTRACT, JANUARY, january)
    with pytest.raises(WarehouseError, match="loaded 2 times today, which is all that BigQuery allows") as raised:
        warehouse.replace_month(CONTRACT, JANUARY, january)
    assert len(server.jobs("load")) == 2
    assert raised.value.may_pass_later


def test_loads_of_another_account_count_to_what_bigquery_allows_in_a_day(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        warehouse.replace_month(CONTRACT, JANUARY, january)
    for job in server.jobs("load"):
        job["_of_another_account"] = True
    monkeypatch.setattr(loads, "LOADS_A_DAY", 2)
    with pytest.raises(WarehouseError, match="loaded 2 times today, which is all that BigQuery allows"):
        warehouse.replace_month(CONTRACT, JANUARY, january)
    assert len(server.jobs("load")) == 2


def test_a_table_that_was_dropped_in_between_is_not_made_anew_by_the_load(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    dataset = warehouse.dataset
    table = tables.prepare(dataset, CONTRACT)
    dataset.client.delete_table(table)
    with pytest.raises(WarehouseError, match="Not found: Table"):
        Load(dataset, table, TABLE, {}).run(january.path, january.rows)
    assert not [name for owner, name in server.store.tables if owner == dataset.name]


def test_a_load_of_another_number_of_rows_than_the_file_has_is_an_error(
    warehouse: BigQueryWarehouse, january: ParquetFile
) -> None:
    table = tables.prepare(warehouse.dataset, CONTRACT)
    copy = january.path.with_name("copy")
    pq.write_table(pq.read_table(january.path).append_column("source_month", [[JANUARY.first_day] * 3]), copy)
    with pytest.raises(WarehouseError, match="BigQuery loaded 3 rows of 4"):
        Load(warehouse.dataset, table, f"{TABLE}$202101", {}).run(copy, 4)


def test_a_job_that_fails_leaves_the_old_month_and_may_be_tried_again(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, tmp_path: Path
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    server.store.failing = ["backendError"]
    with pytest.raises(WarehouseError, match=r"load failed; the table is as it was.*backendError: .*bq show") as raised:
        warehouse.replace_month(CONTRACT, JANUARY, one_trip(7, tmp_path))
    assert raised.value.may_pass_later
    assert numbers_in(warehouse) == [1, 2, 3]

    warehouse.replace_month(CONTRACT, JANUARY, one_trip(7, tmp_path))
    assert numbers_in(warehouse) == [7]


def test_a_job_that_does_not_end_is_named(
    server: BigQueryServer, url: str, january: ParquetFile, caplog: pytest.LogCaptureFixture
) -> None:
    server.store.slow = 1.5
    with pytest.raises(WarehouseError, match=r"load job taxi-.*-probe_trips-202101-.* had not ended") as raised:
        opened(url, patience=0.3).replace_month(CONTRACT, JANUARY, january)
    assert f"bq show -j {PROJECT}:{LOCATION}.taxi-" in str(raised.value)
    assert raised.value.may_pass_later
    assert f"waiting for load job {PROJECT}:{LOCATION}.taxi-" in caplog.text


def test_numbers_that_jobs_of_another_account_have_are_not_tried_one_after_the_other_for_ever(
    warehouse: BigQueryWarehouse, server: BigQueryServer, url: str, january: ParquetFile
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    (job,) = server.jobs("load")
    job["_of_another_account"] = True
    with pytest.raises(WarehouseError, match=r"load job taxi-.*-1 had not ended after 0 s"):
        opened(url, patience=0.0).replace_month(CONTRACT, JANUARY, january)


# What Google says, by its reason.


@pytest.mark.parametrize(
    ("status", "reason", "said", "may_pass"),
    [
        (403, "quotaExceeded", "a quota of Google's is used up: 403 so it is.*30,000 changes", True),
        (403, "rateLimitExceeded", "too much was asked.*50 changes of a table's partitions in 10 s", True),
        (403, "billingNotEnabled", "nobody pays for the project.*gcloud billing projects link", False),
        (403, "accessNotConfigured", "not switched on.*gcloud services enable bigquery.googleapis.com", False),
        (403, "vpcServiceControls", "security perimeter.*have whoever keeps it", False),
        (403, "blocked", "has blocked such work.*support", False),
        (403, "accessDenied", "Fix: grant the account BigQuery Data Editor.*BigQuery Job User", False),
        (404, "notFound", "Fix: make the dataset with: bq mk --dataset", False),
        (503, "backendError", "see whether Google Cloud or the network is down", True),
    ],
)
def test_a_refusal_is_told_by_googles_reason_and_not_by_its_status(
    server: BigQueryServer, url: str, january: ParquetFile, status: int, reason: str, said: str, may_pass: bool
) -> None:
    server.refused = RefusedError(status, reason, "so it is")
    warehouse = opened(url, persistence=0.3)
    for use in (
        lambda: warehouse.replace_month(CONTRACT, JANUARY, january),
        lambda: warehouse.read_months(CONTRACT, [JANUARY]),
    ):
        with pytest.raises(WarehouseError, match=said) as raised:
            use()
        assert "so it is" in str(raised.value)
        assert raised.value.may_pass_later is may_pass


@pytest.mark.parametrize(
    ("reason", "said", "may_pass"),
    [
        ("quotaExceeded", "a quota of Google's is used up: quotaExceeded: .*wait until it is refilled", True),
        ("rateLimitExceeded", "too much was asked.*run fewer months", True),
        ("jobRateLimitExceeded", "too much was asked.*run fewer months", True),
        ("internalError", "has a fault, or is overloaded", True),
        ("billingNotEnabled", "nobody pays for the project", False),
        ("accessDenied", "grant the account BigQuery Data Editor", False),
        ("invalid", "see what BigQuery says above", False),
        ("stopped", "somebody ended the job", False),
    ],
)
def test_a_load_that_fails_is_told_by_googles_reason(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, reason: str, said: str, may_pass: bool
) -> None:
    server.store.failing = [reason]
    with pytest.raises(WarehouseError, match=f"{said}.*bq show -j {PROJECT}") as raised:
        warehouse.replace_month(CONTRACT, JANUARY, january)
    assert raised.value.may_pass_later is may_pass


# The lake's bucket.


@contextmanager
def bucket_of(file: ParquetFile, folder: Path) -> Generator[tuple[GoogleStorage, ParquetFile], None, None]:
    """A lake in a bucket that holds a month, and the month as the lake hands it out."""
    with running_storage() as storage, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", storage.endpoint)
        storage.create_bucket("lake")
        lake = GCSLake("lake", "some/prefix", folder / "cache", ApplicationDefault())
        lake.put(CONTRACT, JANUARY, file)
        yield storage, lake.get(CONTRACT, JANUARY)


@pytest.mark.parametrize("fails", [False, True])
def test_a_month_in_a_bucket_is_loaded_from_there_and_nothing_is_left(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, tmp_path: Path, fails: bool
) -> None:
    server.store.failing = ["invalid"] if fails else []
    with bucket_of(january, tmp_path) as (storage, file):
        before = storage.names("lake")
        if fails:
            with pytest.raises(WarehouseError, match="the load failed"):
                warehouse.replace_month(CONTRACT, JANUARY, file)
        else:
            assert warehouse.replace_month(CONTRACT, JANUARY, file) == 3
        assert storage.names("lake") == before
    (job,) = server.jobs("load")
    (source,) = job["configuration"]["load"]["sourceUris"]
    call = job["configuration"]["labels"]["taxi_call"]
    assert source == f"gs://lake/some/prefix/.loading/{TABLE}/{call}"


def test_what_killed_loads_left_in_the_bucket_goes_after_a_day(
    warehouse: BigQueryWarehouse, january: ParquetFile, tmp_path: Path
) -> None:
    names = {hours: f"some/prefix/.loading/{TABLE}/{hours}" for hours in (23, 25)}
    with bucket_of(january, tmp_path) as (storage, file):
        bucket = ApplicationDefault().storage().bucket("lake")
        for hours, name in names.items():
            bucket.blob(name).upload_from_string(b"rows")
            made = datetime.now(UTC) - timedelta(hours=hours)
            storage.storage.objects["lake"][name]["timeCreated"] = made.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        warehouse.replace_month(CONTRACT, JANUARY, file)
        left = storage.names("lake")
    assert names[23] in left
    assert names[25] not in left


def test_a_staged_month_that_changes_on_its_way_into_the_bucket_is_not_loaded(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, tmp_path: Path
) -> None:
    with bucket_of(january, tmp_path) as (storage, file):
        storage.faults = [Fault(lambda request: request.sends_bytes, flips_a_sent_byte=True, times=1_000)]
        before = storage.names("lake")
        with pytest.raises(WarehouseError, match="could not be put into the lake's bucket"):
            warehouse.replace_month(CONTRACT, JANUARY, file)
        assert storage.names("lake") == before
    assert not server.jobs("load")


def test_a_staged_month_is_of_the_class_that_costs_nothing_once_it_is_gone(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile, tmp_path: Path
) -> None:
    seen: list[str] = []
    with bucket_of(january, tmp_path) as (storage, file):

        def look() -> None:
            staged = next(name for name in storage.names("lake") if ".loading" in name)
            seen.append(storage.object("lake", staged)["storageClass"])

        storage.storage.buckets["lake"]["storageClass"] = "COLDLINE"
        storage.faults = [Fault(lambda request: request.method == "DELETE", first=look)]
        warehouse.replace_month(CONTRACT, JANUARY, file)
    assert seen == ["STANDARD"]


# Queries.


def test_every_query_says_what_it_may_cost_and_which_months_it_reads(
    server: BigQueryServer, url: str, warehouse: BigQueryWarehouse, january: ParquetFile
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    warehouse.read_months(CONTRACT, [JANUARY, FEBRUARY])
    warehouse.measure_month(CONTRACT, JANUARY)
    other = opened(f"{url}?maximum_bytes_billed=20000000")
    other.read_months(CONTRACT, [JANUARY])

    queries = [job["configuration"]["query"] for job in server.jobs("query")]
    assert [it["maximumBytesBilled"] for it in queries] == ["100000000000", "100000000000", "20000000"]
    assert all(it["labels"]["dataset"] == "probe" for it in queries)
    for query in queries:
        (condition,) = sqlglot.parse_one(query["query"], dialect="bigquery").find_all(exp.Where)
        assert condition.sql("bigquery") in (
            "WHERE source_month BETWEEN @first_0 AND @last_0",
            "WHERE source_month = @month_0",
        )
        assert "SELECT *" not in query["query"]


def test_months_are_named_by_comparisons_that_leave_out_all_other_partitions(
    warehouse: BigQueryWarehouse, server: BigQueryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery_store, "_LEAST_BILLED", 0)
    months = [Month(2020, 11), Month(2020, 12), JANUARY, MARCH]
    for month in [*months, FEBRUARY]:
        rows = [{"trip_number": month.number}] * 10
        warehouse.replace_month(CONTRACT, month, month_file(CONTRACT, month, rows, tmp_path / str(month)))

    def read(*wanted: Month) -> tuple[set[Any], int, str]:
        found = warehouse.read_months(CONTRACT, wanted).column("trip_number").to_pylist()
        query = server.jobs("query")[-1]
        text = query["configuration"]["query"]["query"]
        (condition,) = sqlglot.parse_one(text, dialect="bigquery").find_all(exp.Where)
        return set(found), int(query["statistics"]["query"]["totalBytesBilled"]), condition.this.sql("bigquery")

    numbers, one, condition = read(JANUARY)
    assert (numbers, condition) == ({1}, "source_month = @month_0")
    numbers, several, condition = read(MARCH, JANUARY, *months)  # in any order, and twice
    assert numbers == {11, 12, 1, 3}
    assert condition == "source_month BETWEEN @first_0 AND @last_0 OR source_month = @month_1"
    assert 0 < several == 4 * one


def test_no_query_is_paid_for_when_no_month_is_asked_for(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    nothing = warehouse.read_months(CONTRACT, [])
    assert nothing.schema.names == [column.name for column in CONTRACT.table_columns]
    assert not server.jobs("query")


def test_a_query_that_would_cost_too_much_is_refused_and_says_what_to_raise(
    url: str, warehouse: BigQueryWarehouse, january: ParquetFile
) -> None:
    warehouse.replace_month(CONTRACT, JANUARY, january)
    thrifty = opened(f"{url}?maximum_bytes_billed=1000")
    with pytest.raises(WarehouseError, match=r"more than the 1,000 bytes.*10485760 or higher.*maximum_bytes_billed"):
        thrifty.read_months(CONTRACT, [JANUARY])


def test_a_result_of_many_pages_arrives_whole(warehouse: BigQueryWarehouse, tmp_path: Path) -> None:
    contract = contract_of()
    warehouse.replace_month(contract, JANUARY, numbered_file(contract, JANUARY, 45_000, "many", tmp_path / "many"))
    table = warehouse.read_months(contract, [JANUARY])
    assert rows_in(table, "trip_number") == sorted(((number,) for number in range(45_000)), key=repr)


def test_sums_do_not_overflow(warehouse: BigQueryWarehouse, tmp_path: Path) -> None:
    rows = [{"trip_number": 2**63 - 1, "pickup_datetime": datetime(9999, 12, 31)}] * 3
    file = month_file(CONTRACT, JANUARY, rows, tmp_path / "month")
    warehouse.replace_month(CONTRACT, JANUARY, file)
    measured = warehouse.measure_month(CONTRACT, JANUARY)
    assert measured.columns["trip_number"] == (3, 3 * (2**63 - 1))
    assert list(measured.differences(measure_file(file, CONTRACT.stored_columns, tmp_path))) == []


# What can be wrong.


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("bigquery://", "project"),
        ("bigquery://my-project", "dataset"),
        ("bigquery://my-project/a/b", "dataset"),
        ("bigquery://My_Project/taxi", "project"),
        ("bigquery://user:s3cret@my-project/taxi", "project"),
        ("bigquery://my-project/taxi`; DROP", "dataset"),
        ("bigquery://my-project/taxi?region=EU", "nobody knows its option region"),
        ("bigquery://my-project/taxi?location=", "its location makes no sense"),
        ("bigquery://my-project/taxi?maximum_bytes_billed=1e9", "its maximum_bytes_billed makes no sense"),
        ("bigquery://my-project/taxi?maximum_bytes_billed=0", "its maximum_bytes_billed makes no sense"),
        ("bigquery://my-project/taxi#there", "it has a #"),
    ],
)
def test_a_url_that_names_no_dataset_says_what_is_accepted(url: str, cause: str) -> None:
    with pytest.raises(WarehouseError, match="TAXI_WAREHOUSE_URL does not name") as raised:
        BigQueryWarehouse.of_url(url, None, ApplicationDefault())
    assert cause in str(raised.value)
    assert "bigquery://project/dataset" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_url_may_say_where_the_dataset_is(server: BigQueryServer, url: str, january: ParquetFile) -> None:
    opened(url).replace_month(CONTRACT, JANUARY, january)
    server.requests.clear()
    opened(f"{url}?location={LOCATION}").replace_month(CONTRACT, JANUARY, january)
    assert f"/bigquery/v2/projects/{PROJECT}/datasets/{url.rpartition('/')[2]}" not in dict(server.requests).values()
    with pytest.raises(WarehouseError, match=r"not found in location US.*bq show --format=prettyjson .* where it is"):
        opened(f"{url}?location=US").read_months(CONTRACT, [JANUARY])
    fresh = server.url()
    with pytest.raises(WarehouseError, match=f"is in {LOCATION}, and not in US.*write location={LOCATION}"):
        opened(f"{fresh}?location=US").replace_month(CONTRACT, JANUARY, january)


@pytest.mark.parametrize("options", ["", f"?location={LOCATION}"])
def test_a_missing_dataset_says_how_to_make_it(server: BigQueryServer, january: ParquetFile, options: str) -> None:
    warehouse = opened(f"bigquery://{PROJECT}/nowhere{options}")
    command = rf"Dataset {PROJECT}:nowhere.*bq mk --dataset {PROJECT}:nowhere, or correct TAXI_WAREHOUSE_URL"
    with pytest.raises(WarehouseError, match=command):
        warehouse.replace_month(CONTRACT, JANUARY, january)
    with pytest.raises(WarehouseError, match=command):
        warehouse.read_months(CONTRACT, [JANUARY])


def test_an_account_that_may_do_nothing_is_told_its_roles(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    server.forbidden = True
    with pytest.raises(WarehouseError, match=r"Access Denied.*BigQuery Data Editor.*BigQuery Job User"):
        warehouse.replace_month(CONTRACT, JANUARY, january)


def test_a_key_that_google_does_not_know_is_refused_at_once(
    warehouse: BigQueryWarehouse,
    server: BigQueryServer,
    january: ParquetFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = write_key(tmp_path / "key.json", server.host, KEY)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    assert_credentials_are_wrong(warehouse, january, "Google refused the credentials.*Invalid JWT Signature", key)


def test_a_key_that_is_torn_is_refused_at_once_and_not_shown(
    warehouse: BigQueryWarehouse,
    server: BigQueryServer,
    january: ParquetFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = write_key(tmp_path / "key.json", server.host, KEY)
    account = json.loads(key.read_text())
    key.write_text(json.dumps({**account, "private_key": account["private_key"][:600]}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    assert_credentials_are_wrong(warehouse, january, "no usable Google credentials", key)


def test_no_credentials_at_all_is_one_message_at_once(
    warehouse: BigQueryWarehouse, january: ParquetFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    assert_credentials_are_wrong(warehouse, january, "no usable Google credentials.*GOOGLE_APPLICATION_CREDENTIALS")


def assert_credentials_are_wrong(
    warehouse: BigQueryWarehouse, file: ParquetFile, message: str, key: Path | None = None
) -> None:
    started = time.monotonic()
    with pytest.raises(WarehouseError, match=message) as raised:
        warehouse.replace_month(CONTRACT, JANUARY, file)
    assert time.monotonic() - started < 5
    assert not raised.value.may_pass_later
    if key is not None:
        secret = json.loads(key.read_text())["private_key"].splitlines()[3]
        assert secret not in "".join(traceback.format_exception(raised.value))


def test_what_google_cannot_answer_for_a_moment_is_asked_again(
    warehouse: BigQueryWarehouse, server: BigQueryServer, january: ParquetFile
) -> None:
    server.unavailable = 2
    assert warehouse.replace_month(CONTRACT, JANUARY, january) == 3
    assert server.unavailable == 0


def test_what_google_cannot_answer_for_long_is_given_up(server: BigQueryServer, url: str, january: ParquetFile) -> None:
    server.unavailable = 1_000
    started = time.monotonic()
    with pytest.raises(WarehouseError, match="Retrying may solve the problem") as raised:
        opened(url, persistence=0.5).replace_month(CONTRACT, JANUARY, january)
    assert time.monotonic() - started < 4
    assert raised.value.may_pass_later
    assert not server.jobs("load")


def zones() -> pa.Table:
    """The lookup that is shipped with the sample source."""
    with resources.as_file(resources.files("taxi_platform.core.source") / ZONES.file) as path:
        return read_reference_file(ZONES, raw_file(path))
