"""A month's Parquet as BigQuery loads it: with the column `source_month`, on this disk or in the lake's bucket.

Why not the lake's object itself: it has no such column (its path says the month as `2021-01`, which BigQuery reads as a
text and not as a date), and a run that replaces the object while a job reads it would mix two versions, against which
BigQuery promises nothing (https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#limitations).
"""

# Google's library is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import requests
from google.api_core.exceptions import GoogleAPIError, NotFound
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.retry import DEFAULT_RETRY

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import SOURCE_MONTH, TripContract
from taxi_platform.core.engine import identifier, literal
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.google import explained, made
from taxi_platform.core.lake import object_key
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile, read_footer
from taxi_platform.core.warehouse import require_all
from taxi_platform.core.warehouse.bigquery.dataset import Dataset

if TYPE_CHECKING:
    from google.cloud.storage import Blob

# No load may take longer than six hours: what is older than a day was left behind by a process that was killed.
_STALE = timedelta(days=1)
_FORMAT = "(FORMAT parquet, COMPRESSION zstd)"
_log = logging.getLogger(__name__)


def with_month(contract: TripContract, month: Month, file: ParquetFile, others: Mapping[str, str], work: Path) -> Path:
    """Copy a month into a file that also has `source_month`, every column in the type of its contract.

    Args:
        contract: Whose columns they are.
        month: The month.
        file: Its rows.
        others: Columns of the table besides, and DuckDB's types of them; they are null.
        work: Where the copy is made.

    Raises:
        WarehouseError: The file has a column that the contract does not know.
        duckdb.Error: It cannot be read.
    """
    there = set(file.schema.names)
    unknown = sorted(there - {column.name for column in contract.stored_columns})
    if unknown:
        raise WarehouseError(
            f"the file has columns that the contract does not know: {', '.join(unknown)}; the table is as it was",
            about=f"{contract.dataset} {month}",
            where=file.uri,
            cause="it was cleaned under another contract",
            fix="materialize the month's cleaned asset, then load it again",
        )
    columns = ", ".join(
        f"CAST({identifier(it.name) if it.name in there else 'NULL'} AS {it.type.duckdb}) AS {identifier(it.name)}"
        for it in contract.stored_columns
    )
    nulls = "".join(f", CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in others.items())
    copy = work / "rows"  # not named .parquet: whoever reads the lake by ** must not find the month twice
    with engine.connect(work) as con:
        con.execute(
            f"COPY (SELECT DATE '{month.first_day}' AS {SOURCE_MONTH}, {columns}{nulls} "
            f"FROM {engine.parquet(file.path)}) TO {literal(str(copy))} {_FORMAT}"
        )
    require_all(contract, month, read_footer(copy).num_rows, file)
    return copy


def of_rows(rows: pa.Table, others: Mapping[str, str], work: Path) -> Path:
    """Write a reference table's rows into a file, with nulls in the table's other columns (as in `with_month`)."""
    nulls = "".join(f", CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in others.items())
    copy = work / "rows"
    with engine.connect(work) as con:
        con.register("new_rows", rows)
        con.execute(f"COPY (SELECT *{nulls} FROM new_rows) TO {literal(str(copy))} {_FORMAT}")
        con.unregister("new_rows")
    return copy


@contextmanager
def loading_object(
    dataset: Dataset, contract: TripContract, month: Month, lake_uri: str, copy: Path, call: str
) -> Generator[str, None, None]:
    """A file as an object beside the lake's, gone when the block ends; also removes what killed processes left.

    It is named after the call and not after the job: of two calls that want the same job id one has to wait, and must
    not have written over the other's object. Nor is it named .parquet: see `with_month`. Its storage class is the one
    without a least time to pay for; but in a bucket with soft delete, which is the default, what was deleted is paid
    for another seven days (https://cloud.google.com/storage/docs/soft-delete), which nothing in a request can prevent:
    who minds switches it off, or lets a folder be the lake, from which months are uploaded.
    """
    bucket_name, _, key = lake_uri.removeprefix("gs://").partition("/")
    folder = f"{key.removesuffix(object_key(contract, month))}.loading/{contract.table}/"
    retry = DEFAULT_RETRY.with_timeout(dataset.persistence)
    with _explained(bucket_name, folder):
        bucket = made(dataset.google.storage).bucket(bucket_name)
        for other in bucket.list_blobs(prefix=folder, retry=retry):
            if other.time_created < datetime.now(UTC) - _STALE:
                with suppress(NotFound):  # somebody else removed it first
                    other.delete(retry=retry)
        blob = bucket.blob(f"{folder}{call}")
    uri = f"gs://{bucket_name}/{folder}{call}"
    try:
        with _explained(bucket_name, folder):
            blob.storage_class = "STANDARD"
            # Nobody else has this name: it can be sent again and again. Google refuses bytes that changed on the way.
            blob.upload_from_filename(str(copy), checksum="crc32c", retry=retry)
        yield uri
    finally:
        _delete(blob, uri, retry)


def _delete(blob: Blob, uri: str, retry: Retry) -> None:
    try:
        blob.delete(retry=retry)
    except NotFound:
        pass  # it never got there
    except (GoogleAPIError, GoogleAuthError, requests.RequestException) as error:
        # The month is loaded or not, whatever becomes of this object.
        _log.warning("%s stays until a load of another day (%s)", uri, type(error).__name__)


def _explained(bucket: str, folder: str) -> AbstractContextManager[None]:
    return explained(
        WarehouseError,
        "the rows could not be put into the lake's bucket, to be loaded from there; the table is as it was",
        where=f"gs://{bucket}/{folder}",
        absent="set TAXI_LAKE_URL to a bucket that exists",
        roles=f"the role roles/storage.objectUser on gs://{bucket}",
    )
