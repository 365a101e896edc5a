"""The stand-in refuses what BigQuery refuses: what the warehouse's tests show is worth no more than that."""

import io
import os
import time
from collections.abc import Callable, Generator
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound, PreconditionFailed
from google.cloud import bigquery
from google.cloud.bigquery.schema import SchemaField

from taxi_platform.core.google import ApplicationDefault
from taxi_platform_tests.core.warehouse.bigquery_server import LOCATION, PROJECT, bigquery_server

FIELDS = [SchemaField("source_month", "DATE"), SchemaField("at", "DATETIME"), SchemaField("number", "INT64")]
ROW = {"source_month": date(2021, 1, 1), "at": datetime(2021, 1, 5, 8, 30), "number": 1}
Client = bigquery.Client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Generator[Client, None, None]:
    with bigquery_server(tmp_path_factory.mktemp("bigquery")) as server:
        server.url("taxi")
        yield ApplicationDefault().bigquery(PROJECT)


@pytest.fixture
def table(client: Client, request: pytest.FixtureRequest) -> bigquery.Table:
    """A table partitioned by month that holds one trip of January and one of February."""
    table = bigquery.Table(f"{PROJECT}.taxi.trips_{abs(hash(request.node.name))}", schema=FIELDS)
    table.time_partitioning = bigquery.TimePartitioning("MONTH", "source_month")
    table = client.create_table(table)
    load(client, table, "202101", ROW)
    load(client, table, "202102", {**ROW, "source_month": date(2021, 2, 1), "number": 2})
    return table


def load(client: Client, table: bigquery.Table, partition: str, *rows: dict[str, Any], **how: Any) -> None:
    schema = how.pop("schema", FIELDS)
    config = bigquery.LoadJobConfig(
        source_format="PARQUET", write_disposition="WRITE_TRUNCATE", schema=schema, **how.pop("config", {})
    )
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)) if rows else how.pop("empty"), body)
    target = table.reference.dataset_id, f"{table.table_id}{'$' if partition else ''}{partition}"
    where = {"location": LOCATION, **how}
    job = client.load_table_from_file(body, f"{PROJECT}.{'.'.join(target)}", rewind=True, job_config=config, **where)
    while not job.done():  # `result` alone would look again after a second
        time.sleep(0.01)
    job.result()


def numbers(client: Client, table: bigquery.Table) -> list[int]:
    return [row[0] for row in client.query_and_wait(f"SELECT number FROM `{table.reference}` ORDER BY 1")]


REFUSED: dict[str, tuple[type[GoogleAPICallError], str, Callable[[Client, bigquery.Table], Any]]] = {
    "rows of another month": (
        BadRequest,
        "different partitions",
        lambda client, table: load(client, table, "202101", ROW, {**ROW, "source_month": date(2021, 2, 1)}),
    ),
    "rows of no month": (
        BadRequest,
        "different partitions",
        lambda client, table: load(client, table, "202101", ROW, {**ROW, "source_month": None}),
    ),
    "a day's partition": (BadRequest, "decorator", lambda client, table: load(client, table, "20210101", ROW)),
    "a column the schema lacks": (
        BadRequest,
        "No such field: more",
        lambda client, table: load(client, table, "202101", {**ROW, "more": 1}),
    ),
    "a column the table lacks": (
        BadRequest,
        "Cannot add fields",
        lambda client, table: load(
            client, table, "202101", {**ROW, "more": 1}, schema=[*FIELDS, SchemaField("more", "INT64")]
        ),
    ),
    "a column of another type": (
        BadRequest,
        "does not match INTEGER",
        lambda client, table: load(client, table, "202101", {**ROW, "number": "one"}),
    ),
    "a time with a zone": (
        BadRequest,
        "does not match DATETIME",
        lambda client, table: load(client, table, "202101", {**ROW, "at": datetime(2021, 1, 5, tzinfo=UTC)}),
    ),
    "a time without a schema": (
        BadRequest,
        "changed type from DATETIME to TIMESTAMP",
        lambda client, table: load(client, table, "202101", ROW, schema=None),
    ),
    "another location": (
        NotFound,
        "not found in location US",
        lambda client, table: load(client, table, "202101", ROW, location="US"),
    ),
    "a job's id for the second time": (
        Conflict,
        "Already Exists: Job",
        lambda client, table: [
            load(
                client,
                table,
                "202102",
                {**ROW, "source_month": date(2021, 2, 1), "number": 2},
                job_id=f"id-{table.table_id}",
            )
            for _ in range(2)
        ],
    ),
    "a label with a capital": (
        BadRequest,
        "illegal characters",
        lambda client, table: load(client, table, "202101", ROW, config={"labels": {"run": "A"}}),
    ),
    "a table for the second time": (
        Conflict,
        "Already Exists: Table",
        lambda client, table: client.create_table(table),
    ),
    "a query that reads too much": (
        BadRequest,
        "bytes billed",
        lambda client, table: client.query_and_wait(
            f"SELECT number FROM `{table.reference}`", job_config=bigquery.QueryJobConfig(maximum_bytes_billed=1)
        ),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_bigquery_refuses_is_refused_and_changes_nothing(client: Client, table: bigquery.Table, what: str) -> None:
    error, words, attempt = REFUSED[what]
    with pytest.raises(error, match=words):
        attempt(client, table)
    assert numbers(client, table) == [1, 2]


def test_an_update_of_a_table_that_changed_meanwhile_is_refused(client: Client, table: bigquery.Table) -> None:
    table, stale = client.get_table(table), client.get_table(table)
    table.description = "first"
    client.update_table(table, ["description"])
    stale.description = "second"
    with pytest.raises(PreconditionFailed):
        client.update_table(stale, ["description"])


def test_a_file_of_no_rows_empties_no_partition(client: Client, table: bigquery.Table) -> None:
    load(client, table, "202101", empty=pa.Table.from_pylist([ROW]).slice(0, 0))
    assert numbers(client, table) == [1, 2]


def test_a_table_deleted_by_a_name_with_a_decorator_is_a_partition_that_is_deleted(
    client: Client, table: bigquery.Table
) -> None:
    client.delete_table(table.reference.dataset_id + f".{table.table_id}$202101")
    assert numbers(client, table) == [2]


def test_a_file_that_lacks_a_column_is_refused(client: Client, table: bigquery.Table) -> None:
    with pytest.raises(BadRequest, match="number is missing"):
        load(client, table, "202101", {name: value for name, value in ROW.items() if name != "number"})
    assert numbers(client, table) == [1, 2]


@pytest.mark.usefixtures("client")
def test_who_has_no_token_is_turned_away() -> None:
    url = f"{os.environ['BIGQUERY_EMULATOR_HOST']}/bigquery/v2/projects/{PROJECT}/datasets/taxi"
    assert requests.get(url, headers={"Authorization": "Bearer nobody's"}, timeout=5).status_code == 401
