"""Where runs are killed: wherever a month is half done somewhere.

A point is found by its function and, inside of it, by words of a line. Who rewrites such a line gives the point its new
words: a point that no run reaches any more is an error, not a pass.
"""

from __future__ import annotations

from taxi_platform_tests.faults.tracer import CALL, RETURN, Point, Spot

_CORE = "taxi_platform.core"
_HTTP = f"{_CORE}.source.http"
_ARRIVAL = f"{_CORE}.source.arrival"
_SOURCE = f"{_CORE}.source.source"
_CLEAN = f"{_CORE}.cleaning.clean"
_STAGE = f"{_CORE}.cleaning.stage"
_FINDINGS = f"{_CORE}.findings"
_FILES = f"{_CORE}.files"
_EDITIONS = f"{_CORE}.editions"
_FOLDER = f"{_CORE}.lake.folder"
_BUCKET = f"{_CORE}.lake.bucket"
_GCS = f"{_CORE}.lake.gcs"
_S3 = f"{_CORE}.lake.s3"
_DUCKDB = f"{_CORE}.warehouse.duckdb"
_POSTGRES = f"{_CORE}.warehouse.postgres"
_SCHEMA = f"{_CORE}.warehouse.postgres.schema"
_BIGQUERY = f"{_CORE}.warehouse.bigquery"
_STAGING = f"{_CORE}.warehouse.bigquery.staging"
_LOADS = f"{_CORE}.warehouse.bigquery.loads"
_OF_FILES = "taxi_platform.io_managers.files"
_OF_LAKE = "taxi_platform.io_managers.lake"
_OF_WAREHOUSE = "taxi_platform.io_managers.warehouse"

#: The server sends half of the body and then nothing more, so that this one never ends.
DOWNLOADING = Point(
    "while the month is downloaded",
    Spot(_ARRIVAL, "Arrival.write", "progress.add(len(chunk))"),
    Spot(_HTTP, "HttpOrigin.download", RETURN),
)
BETWEEN_COPIES = Point("between the two COPYs", Spot(_CLEAN, "clean", "turned_away = "))
BETWEEN_PUBLICATIONS = Point(
    "between publishing quarantined and cleaned rows",
    Spot(_EDITIONS, "MonthFiles.publish", "publish(file.path", nth=2),
)
NOT_RECORDED = Point(
    "in the warehouse, not yet in Dagster's records", Spot(_OF_WAREHOUSE, "WarehouseIOManager.handle_output", RETURN)
)
RAW_NOT_RECORDED = Point("raw file not yet in Dagster's records", Spot(_OF_FILES, "RawIOManager.handle_output", RETURN))
NOTHING_PUBLISHED = Point("cleaned, nothing published", Spot(_EDITIONS, "MonthFiles.publish", CALL))
CLEANED_NOT_RECORDED = Point(
    "cleaned rows not yet in Dagster's records", Spot(_OF_FILES, "ParquetIOManager.handle_output", RETURN, nth=2)
)
CHECKING_CLEANED = Point("during the checks of the cleaned rows", Spot(_FINDINGS, "rows_are_conserved", RETURN))
LAKE_NOT_RECORDED = Point(
    "in the lake, not yet in Dagster's records", Spot(_OF_LAKE, "LakeIOManager.handle_output", RETURN)
)
CHECKING_LAKE = Point("during the check of the lake", Spot(_FINDINGS, "lake_matches_cleaned", CALL))
CHECKING_TABLE = Point("during the check of the table", Spot(_FINDINGS, "table_matches_lake", CALL))
_FILES_OF_A_MONTH = (
    DOWNLOADING,
    Point("downloaded, not yet verified", Spot(_SOURCE, "_take", CALL)),
    Point("verified, not yet published", Spot(_SOURCE, "_take", "publish(part, raw.path)")),
    Point("raw file published, without its provenance", Spot(_SOURCE, "_take", "raw.record()")),
    RAW_NOT_RECORDED,
    Point(
        "while the raw file is scanned",
        Spot(_STAGE, "fill_stage", "con.execute(_stage_sql("),
        Spot(_STAGE, "fill_stage", RETURN),
    ),
    Point(
        "while cleaned rows are written",
        Spot(_CLEAN, "clean", "COPY (SELECT {columns} FROM stage.trips"),
        Spot(_CLEAN, "clean", "turned_away = "),
    ),
    BETWEEN_COPIES,
    Point(
        "while quarantined rows are written",
        Spot(_CLEAN, "clean", "COPY ({turned_away})"),
        Spot(_CLEAN, "clean", RETURN),
    ),
    NOTHING_PUBLISHED,
    BETWEEN_PUBLICATIONS,
    CLEANED_NOT_RECORDED,
    CHECKING_CLEANED,
    LAKE_NOT_RECORDED,
    CHECKING_LAKE,
    NOT_RECORDED,
    CHECKING_TABLE,
)

COPYING_TO_LAKE = Point(
    "while the lake's copy is written", Spot(_FILES, "copy_hashed", "digest.update(chunk)", 2, "FolderLake.put")
)
FOLDER = (
    *_FILES_OF_A_MONTH,
    Point("before the lake's copy is written", Spot(_FILES, "copy_hashed", CALL, called_by="FolderLake.put")),
    COPYING_TO_LAKE,
    Point("lake's copy whole, not published", Spot(_FOLDER, "FolderLake.put", "publish(copy, target)")),
    Point("before the lake's rename", Spot(_FILES, "publish", "temporary.replace(final)", called_by="FolderLake.put")),
    Point("after the lake's rename", Spot(_FILES, "publish", "_sync_folder(", called_by="FolderLake.put")),
)

_FETCHING = (
    Point(
        "while the object is fetched",
        Spot(_BUCKET, "BucketLake._fetch", CALL),
        Spot(_BUCKET, "BucketLake._fetch", RETURN),
    ),
    Point("object fetched, not in the cache", Spot(_BUCKET, "BucketLake._fetch", "publish(copy, path)")),
)
UPLOADING = Point(
    "while the object is uploaded",
    Spot(_GCS, "GCSLake._send", "blob.upload_from_file("),
    Spot(_GCS, "GCSLake._send", RETURN),
)
GCS = (
    *_FILES_OF_A_MONTH,
    Point("before the object is uploaded", Spot(_GCS, "GCSLake._send", CALL)),
    UPLOADING,
    Point("object uploaded, its checksum not compared", Spot(_GCS, "GCSLake._send", RETURN)),
    *_FETCHING,
)

UPLOADING_TO_S3 = Point(
    "while the object is put",
    Spot(_S3, "S3Lake._send", "self._client.put_object("),
    Spot(_S3, "S3Lake._send", RETURN),
)
S3 = (
    *_FILES_OF_A_MONTH,
    Point("before the object is put", Spot(_S3, "S3Lake._send", CALL)),
    UPLOADING_TO_S3,
    Point("object put, its checksum not compared", Spot(_S3, "S3Lake._send", RETURN)),
    *_FETCHING,
)

BETWEEN_DELETE_AND_INSERT = Point(
    "between DELETE and INSERT", Spot(_DUCKDB, "DuckDBWarehouse.replace_month", "INSERT INTO {table} BY NAME")
)
AFTER_COMMIT = Point(
    "after the commit, the file not yet closed",
    Spot(_DUCKDB, "DuckDBWarehouse._transaction", "with self._connect(read_only=False)", nth=2),
)
DUCKDB = (
    Point("before the transaction", Spot(_DUCKDB, "DuckDBWarehouse._transaction", "con.begin()")),
    Point("before DELETE", Spot(_DUCKDB, "DuckDBWarehouse.replace_month", "DELETE FROM {table}")),
    BETWEEN_DELETE_AND_INSERT,
    Point(
        "while rows are inserted",
        Spot(_DUCKDB, "DuckDBWarehouse.replace_month", "INSERT INTO {table} BY NAME"),
        Spot(_DUCKDB, "DuckDBWarehouse._transaction", "con.commit()"),
    ),
    Point("before the commit", Spot(_DUCKDB, "DuckDBWarehouse._transaction", "con.commit()")),
    Point(
        "while the transaction is committed",
        Spot(_DUCKDB, "DuckDBWarehouse._transaction", "con.commit()"),
        Spot(_DUCKDB, "DuckDBWarehouse._transaction", "with self._connect(read_only=False)", nth=2),
    ),
    AFTER_COMMIT,
    Point(
        "while the file is closed",
        Spot(_DUCKDB, "DuckDBWarehouse._transaction", "with self._connect(read_only=False)", nth=2),
        Spot(_DUCKDB, "DuckDBWarehouse.replace_month", RETURN),
    ),
)

FILLING_PARTITION = Point(
    "while the new partition is filled", Spot(_POSTGRES, "_fill", CALL), Spot(_POSTGRES, "_fill", RETURN)
)
BEFORE_DROP = Point("after DETACH, before DROP", Spot(_SCHEMA, "take_place", '"DROP TABLE {}"'))
BEFORE_ATTACH = Point("after DROP, before ATTACH", Spot(_SCHEMA, "take_place", "ATTACH PARTITION"))
_LOAD = "PostgresWarehouse.replace_month.<locals>.load"
POSTGRES = (
    Point("before the new partition is made", Spot(_SCHEMA, "stage_for", CALL)),
    Point("new partition made, empty", Spot(_SCHEMA, "stage_for", RETURN)),
    FILLING_PARTITION,
    Point("new partition filled, without its indexes", Spot(_SCHEMA, "add_indexes", CALL)),
    Point("new partition ready, the table not locked", Spot(_SCHEMA, "take_place", "LOCK TABLE ONLY")),
    Point("table locked, old partition in its place", Spot(_SCHEMA, "take_place", "DETACH PARTITION")),
    BEFORE_DROP,
    BEFORE_ATTACH,
    Point("after ATTACH, before its constraint goes", Spot(_SCHEMA, "take_place", "DROP CONSTRAINT")),
    Point("after ATTACH, before RENAME", Spot(_SCHEMA, "take_place", "RENAME TO")),
    Point("after RENAME, before the commit", Spot(_SCHEMA, "take_place", RETURN)),
    Point("while the transaction is committed", Spot(_SCHEMA, "take_place", RETURN), Spot(_POSTGRES, _LOAD, RETURN)),
    Point("after the commit, still connected", Spot(_POSTGRES, _LOAD, RETURN)),
)

SUBMITTED = Point("job submitted, its answer not looked at", Spot(_LOADS, "Load._insert", RETURN))
WAITING = Point("while the job runs", Spot(_LOADS, "Load._wait", "time.sleep(pause)"), Spot(_LOADS, "Load.run", RETURN))
BIGQUERY = (
    Point(
        "while the file for the load is written",
        Spot(_STAGING, "with_month", "con.execute("),
        Spot(_STAGING, "with_month", RETURN),
    ),
    Point("before the loading object is uploaded", Spot(_STAGING, "loading_object", "blob.upload_from_filename(")),
    Point(
        "while the loading object is uploaded",
        Spot(_STAGING, "loading_object", "blob.upload_from_filename("),
        Spot(_LOADS, "Load.run", CALL),
    ),
    Point("loading object uploaded, no job yet", Spot(_LOADS, "Load.run", CALL)),
    Point("before the job is submitted", Spot(_LOADS, "Load._insert", CALL)),
    Point("while the job is submitted", Spot(_LOADS, "Load._insert", CALL), Spot(_LOADS, "Load._insert", RETURN)),
    SUBMITTED,
    WAITING,
    Point("job ended, its loading object not removed", Spot(_LOADS, "Load.run", RETURN)),
    Point("loading object removed", Spot(_BIGQUERY, "BigQueryWarehouse.replace_month", RETURN)),
)
