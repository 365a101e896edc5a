"""What BigQuery keeps and refuses, over DuckDB: the datasets, tables and jobs behind `bigquery_server.py`.

Emulated, each with the page of https://cloud.google.com/bigquery/docs it was taken from:

- A load job with WRITE_TRUNCATE replaces a table, or the partition that a decorator names, in one transaction and only
  if it succeeds; WRITE_TRUNCATE_DATA keeps the schema (`reference/rest/v2/Job#JobConfigurationLoad`, writeDisposition).
- A table's name with a decorator deletes the partition (`managing-partitioned-tables#delete_a_partition`).
- A new table takes over what its dataset says of expiring, and in a project without billing it expires anyway
  (`updating-datasets`, `sandbox#limits`). Nothing is deleted here when its time has come.
- Where the documentation leaves it open, the worse of the two: a file of no rows leaves a partition as it is; a file
  has to have every column of the table; `IN UNNEST(…)` reads every partition.
- A partition takes rows of its own month only; the decorator of a table partitioned by month is `$YYYYMM`
  (`load-data-partitioned-tables`).
- A load into a partition does not change the columns of the table, unless ALLOW_FIELD_ADDITION is set; one into a whole
  table replaces its schema (`reference/rest/v2/Job`, schemaUpdateOptions), and here also takes its labels and words.
- A Parquet timestamp is a TIMESTAMP, unless it has no zone and the schema that is given says DATETIME
  (`loading-data-cloud-storage-parquet#type_conversions`, googleapis/python-bigquery issue 985).
- A job id is taken once (`running-jobs#generate-jobid`); a job runs where its dataset is (`locations`).
- A query over `maximumBytesBilled` fails and costs nothing; 10 MB at least are billed for a table
  (`best-practices-costs`). The bytes are those of the columns named, in the rows the condition lets through.
- Columns are added by an update, and not taken away or retyped (`managing-table-schemas`); an update with an etag that
  is not the table's any more is refused (`reference/rest/v2/tables/patch`, If-Match).
- Descriptions of columns have 1,024 characters at most (`quotas#standard_tables`), labels 63 of a small alphabet
  (`labels-intro#requirements`).

Not emulated: streaming, DML and DDL, copies and exports, nested and repeated columns, slots, quotas, partition expiry,
permissions but one switch (all or nothing), and GoogleSQL beyond what sqlglot translates to DuckDB.
"""

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp

from taxi_platform.core.engine import identifier

TYPES = {
    "STRING": "VARCHAR",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "DATETIME": "TIMESTAMP",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
    "BOOLEAN": "BOOLEAN",
    "BYTES": "BLOB",
    "TIME": "TIME",
    "NUMERIC": "DECIMAL(38, 9)",
}
_API_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
_OF_DUCKDB = {kind: name for name, kind in TYPES.items()} | {
    "HUGEINT": "BIGNUMERIC",
    "INTEGER": "INTEGER",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "DECIMAL(38,9)": "NUMERIC",
}
_LABEL = re.compile(r"[a-z0-9_-]{0,63}")
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,1024}")
_LEAST_BILLED = 10 * 2**20
_PAGE = 20_000


class RefusedError(Exception):
    """What the API answers instead."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


@dataclass
class Store:
    """Everything of one project.

    Attributes:
        folder: For uploads.
        project: Its id.
        slow: Seconds every load job takes before it does anything.
        failing: Reasons with which the next load jobs fail.
        defaults: What a dataset says besides its location, such as how long its new tables are kept.
        has_billing: Whether somebody pays for the project; else every new partition is kept for sixty days.
    """

    folder: Path
    project: str
    slow: float = 0.0
    failing: list[str] = field(default_factory=list)
    defaults: dict[str, dict[str, str]] = field(default_factory=dict)
    has_billing: bool = True
    datasets: dict[str, str] = field(default_factory=dict)
    tables: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._con = duckdb.connect()
        self._con.execute("CREATE SCHEMA results")
        self._lock = threading.RLock()  # one change at a time; readers see what was committed

    # Datasets and tables.

    def make_dataset(self, name: str, location: str) -> None:
        with self._lock:
            self.datasets[name] = location
            self._con.execute(f"CREATE SCHEMA {identifier(name)}")

    def dataset(self, name: str) -> dict[str, Any]:
        if name not in self.datasets:
            raise RefusedError(404, "notFound", f"Not found: Dataset {self.project}:{name}")
        reference = {"projectId": self.project, "datasetId": name}
        return {
            "kind": "bigquery#dataset",
            "datasetReference": reference,
            "location": self.datasets[name],
            **self.defaults.get(name, {}),
        }

    def table(self, dataset: str, name: str) -> dict[str, Any]:
        self.dataset(dataset)
        if (dataset, name) not in self.tables:
            raise RefusedError(404, "notFound", f"Not found: Table {self.project}:{dataset}.{name}")
        return self.tables[dataset, name]

    def insert_table(self, dataset: str, resource: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.dataset(dataset)
            name = resource["tableReference"]["tableId"]
            if (dataset, name) in self.tables:
                raise RefusedError(409, "duplicate", f"Already Exists: Table {self.project}:{dataset}.{name}")
            self._keep(dataset, name, {"kind": "bigquery#table", **self._with_expiry(dataset, resource)})
            return self.tables[dataset, name]

    def _with_expiry(self, dataset: str, resource: dict[str, Any]) -> dict[str, Any]:
        """A new table with what it takes over from its dataset; what is null is as if it were not said."""
        resource = {key: value for key, value in resource.items() if value is not None}
        defaults = self.defaults.get(dataset, {})
        kept = None if self.has_billing else str(60 * 24 * 60 * 60 * 1000)
        if "timePartitioning" in resource:
            parts = {key: value for key, value in resource["timePartitioning"].items() if value is not None}
            kept = kept or defaults.get("defaultPartitionExpirationMs")
            resource["timePartitioning"] = {**({"expirationMs": kept} if kept else {}), **parts}
        if not kept and (kept := defaults.get("defaultTableExpirationMs")) and "expirationTime" not in resource:
            resource["expirationTime"] = str(int(time.time() * 1000) + int(kept))
        return resource

    def patch_table(self, dataset: str, name: str, changes: dict[str, Any], etag: str | None) -> dict[str, Any]:
        with self._lock:
            table = self.table(dataset, name)
            if etag not in (None, table["etag"]):
                raise RefusedError(412, "conditionNotMet", "Precondition Failed")
            labels = {**table.get("labels", {}), **changes.get("labels", {})}
            if "schema" in changes:
                _require_growth(table["schema"], changes["schema"], f"{self.project}:{dataset}.{name}")
            self._keep(dataset, name, {**table, **changes, "labels": labels})
            return self.tables[dataset, name]

    def delete_table(self, dataset: str, name: str) -> None:
        name, _, partition = name.partition("$")
        with self._lock:
            kind = "VIEW" if "view" in self.table(dataset, name) else "TABLE"
            if partition:
                condition = self._partition(self.table(dataset, name), partition)
                rows = f"SELECT 1 FROM {_name(dataset, name)} WHERE {condition} LIMIT 1"
                if not self._con.execute(rows).fetchall():  # nobody says what Google does: the worse is tried
                    raise RefusedError(404, "notFound", f"Not found: Table {self.project}:{dataset}.{name}${partition}")
                self._con.execute(f"DELETE FROM {_name(dataset, name)} WHERE {condition}")
                return
            self._con.execute(f"DROP {kind} {_name(dataset, name)}")
            del self.tables[dataset, name]

    def _keep(self, dataset: str, name: str, resource: dict[str, Any]) -> None:
        """Store a table's resource, and make the table in DuckDB what it says."""
        for value in resource.get("labels", {}).values():
            if not _LABEL.fullmatch(value):
                raise RefusedError(400, "invalid", f"Label value {value!r} has illegal characters or is too long")
        if "view" in resource:
            query = in_duckdb(sqlglot.parse_one(resource["view"]["query"], dialect="bigquery"))
            self._con.execute(f"CREATE OR REPLACE VIEW {_name(dataset, name)} AS {query}")
            described = self._con.execute(f"DESCRIBE {_name(dataset, name)}").fetchall()
            resource["schema"] = {"fields": [{"name": it[0], "type": _OF_DUCKDB[it[1]]} for it in described]}
        else:
            fields = [_checked(it) for it in resource.get("schema", {}).get("fields", [])]
            resource["schema"] = {"fields": fields}
            columns = ", ".join(f"{identifier(it['name'])} {TYPES[it['type']]}" for it in fields)
            self._con.execute(f"CREATE TABLE IF NOT EXISTS {_name(dataset, name)} ({columns})")
            for it in fields:
                self._con.execute(
                    f"ALTER TABLE {_name(dataset, name)} "
                    f"ADD COLUMN IF NOT EXISTS {identifier(it['name'])} {TYPES[it['type']]}"
                )
        self.tables[dataset, name] = {
            **resource,
            "etag": uuid4().hex,
            "type": "VIEW" if "view" in resource else "TABLE",
        }

    # Load jobs.

    def insert_load(self, resource: dict[str, Any], parquet: Path) -> dict[str, Any]:
        """Accept a load job, and run it in a thread of its own."""
        reference, load = resource["jobReference"], resource["configuration"]["load"]
        target = load["destinationTable"]
        with self._lock:
            job_id = reference["jobId"]
            if not _JOB_ID.fullmatch(job_id):
                raise RefusedError(400, "invalid", f"Invalid job ID {job_id}")
            if job_id in self.jobs:
                where = f"{self.project}:{reference.get('location')}.{job_id}"
                raise RefusedError(409, "duplicate", f"Already Exists: Job {where}")
            self._require_place(target["datasetId"], reference.get("location"))
            for value in resource["configuration"].get("labels", {}).values():
                if not _LABEL.fullmatch(value):
                    raise RefusedError(400, "invalid", f"Label value {value!r} has illegal characters or is too long")
            job = {
                "kind": "bigquery#job",
                "id": job_id,
                **resource,
                "status": {"state": "PENDING"},
                "statistics": {"creationTime": str(int(time.time() * 1000))},
            }
            self.jobs[job_id] = job
        threading.Thread(target=self._run_load, args=(job, load, parquet), daemon=True).start()
        return job

    def job(self, job_id: str, location: str | None) -> dict[str, Any]:
        job = self.jobs.get(job_id)
        if job is None or job["jobReference"].get("location") != location:
            raise RefusedError(404, "notFound", f"Not found: Job {self.project}:{job_id}")
        if job.get("_of_another_account"):
            raise RefusedError(403, "accessDenied", f"Access Denied: Job {self.project}:{job_id}")
        return job

    def _require_place(self, dataset: str, location: str | None) -> None:
        there = self.dataset(dataset)["location"]
        if location != there:
            where = f"Dataset {self.project}:{dataset} was not found in location {location}"
            raise RefusedError(404, "notFound", f"Not found: {where}")

    def _run_load(self, job: dict[str, Any], load: dict[str, Any], parquet: Path) -> None:
        with self._lock:
            reason = self.failing.pop(0) if self.failing else None
        time.sleep(self.slow)
        job["status"] = {"state": "RUNNING"}
        try:
            rows = self._load(load, parquet, reason)
        except (RefusedError, duckdb.Error, pa.ArrowInvalid) as error:
            told = {"reason": getattr(error, "reason", "invalid"), "message": str(error)}
            job["status"] = {"state": "DONE", "errorResult": told, "errors": [told]}
        else:
            job["statistics"]["load"] = {"outputRows": str(rows)}
            job["status"] = {"state": "DONE"}
        finally:
            parquet.unlink()

    def _load(self, load: Mapping[str, Any], parquet: Path, failing: str | None) -> int:
        if failing:
            raise RefusedError(503, failing, "An internal error occurred and the request could not be completed")
        how = load["writeDisposition"]
        assert (load["sourceFormat"], how in ("WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA")) == ("PARQUET", True)
        dataset, target = load["destinationTable"]["datasetId"], load["destinationTable"]["tableId"]
        name, _, partition = target.partition("$")
        file = pq.read_schema(parquet)
        with self._lock, self._con.cursor() as con:
            where, rows = f"{self.project}:{dataset}.{target}", pq.read_metadata(parquet).num_rows
            if (dataset, name) not in self.tables and load.get("createDisposition") != "CREATE_NEVER":
                self._keep(dataset, name, {"kind": "bigquery#table", "schema": load["schema"]})  # nobody's idea of one
            table = self.table(dataset, name)
            given = load.get("schema") or {"fields": [{"name": it.name, "type": _of_arrow(it.type)} for it in file]}
            given = {"fields": [_checked(it) for it in given["fields"]]}
            _require_types(file, given)
            _require_columns(table["schema"], file.names)
            if partition:
                if "ALLOW_FIELD_ADDITION" not in load.get("schemaUpdateOptions", []):
                    _require_no_more(table["schema"], given, where)
                _require_growth(table["schema"], given, where, may_lack=True)
                condition = self._partition(table, partition, parquet)
            else:
                condition = "true"
            con.begin()
            if rows or not partition:
                con.execute(f"DELETE FROM {_name(dataset, name)} WHERE {condition}")
            names = ", ".join(identifier(it.name) for it in file)
            con.execute(f"INSERT INTO {_name(dataset, name)} BY NAME SELECT {names} FROM read_parquet('{parquet}')")
            con.commit()
            if how == "WRITE_TRUNCATE" and not partition:
                kept = {it: table[it] for it in ("kind", "tableReference", "schema")}
                self._keep(dataset, name, {**kept, "schema": given})
            return rows

    def _partition(self, table: Mapping[str, Any], decorator: str, parquet: Path | None = None) -> str:
        """The condition for a partition's rows, when the file, if there is one, has none but those."""
        by = table.get("timePartitioning")
        if by is None:
            raise RefusedError(400, "invalid", "Cannot read partition information from a table that is not partitioned")
        assert by["type"] == "MONTH"
        if not re.fullmatch(r"\d{4}(0[1-9]|1[0-2])", decorator):
            raise RefusedError(400, "invalid", f"Invalid time partitioning decorator ${decorator}, expected $YYYYMM")
        first = date(int(decorator[:4]), int(decorator[4:]), 1)
        condition = f"coalesce(date_trunc('month', {identifier(by['field'])}) = DATE '{first}', false)"
        if parquet is None:
            return condition
        with self._con.cursor() as con:
            query = f"SELECT count(*) FROM read_parquet('{parquet}') WHERE NOT {condition}"
            ((strays,), *_) = con.execute(query).fetchall()
        if strays:
            told = f"Some rows belong to different partitions rather than destination partition {decorator}"
            raise RefusedError(400, "invalid", told)
        return condition

    # Queries.

    def query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run a query; its first page."""
        tree = sqlglot.parse_one(request["query"], dialect="bigquery")
        for table in _stored(tree):
            self.table(table.db, table.name)
            self._require_place(table.db, request.get("location", self.datasets[table.db]))
        parameters = {it["name"]: _value(it) for it in request.get("queryParameters", [])} or None
        query, job_id = in_duckdb(tree.copy()), f"query_{uuid4().hex}"
        with self._con.cursor() as con:
            billed = self._billed(con, tree, parameters)
            if billed > int(request.get("maximumBytesBilled") or billed):
                told = f"Query exceeded limit for bytes billed: {request['maximumBytesBilled']}. {billed} or higher"
                raise RefusedError(400, "bytesBilledLimitExceeded", f"{told} required.")
            described = con.execute(f"DESCRIBE {query}", parameters).fetchall()
            columns = [
                (name if name.isidentifier() else f"f{number}_", _OF_DUCKDB[kind])
                for number, (name, kind, *_) in enumerate(described)
            ]
            names = ", ".join(identifier(name) for name, _ in columns)
            con.execute(f"CREATE TABLE results.{job_id} AS SELECT * FROM ({query}) AS q({names})", parameters)
            ((total,), *_) = con.execute(f"SELECT count(*) FROM results.{job_id}").fetchall()
        reference = {"projectId": self.project, "jobId": job_id, "location": request.get("location")}
        self.jobs[job_id] = {
            "kind": "bigquery#job",
            "id": job_id,
            "jobReference": reference,
            "configuration": {"query": dict(request), "labels": request.get("labels", {})},
            "status": {"state": "DONE"},
            "statistics": {"query": {"totalBytesBilled": str(billed)}},
            "_total": total,
            "_columns": columns,
        }
        return self.page(job_id, 0)

    def _billed(self, con: duckdb.DuckDBPyConnection, tree: exp.Expr, parameters: dict[str, Any] | None) -> int:
        billed = 0
        for select in tree.find_all(exp.Select):
            if not isinstance(select.args["from_"].this, exp.Table) or not select.args["from_"].this.db:
                continue  # it reads what another part of the query gives
            (table, *_), condition = select.find_all(exp.Table), select.args.get("where")
            columns = {column.name for column in select.find_all(exp.Column)}
            if condition and condition.find(exp.Unnest):
                condition = None  # no partition is left out
            where = in_duckdb(condition.copy()) if condition else ""
            query = f"SELECT count(*) FROM {_name(table.db, table.name)} {where}"
            ((rows,), *_) = con.execute(query, parameters if condition else None).fetchall()
            billed += 8 * rows * len(columns)
        return max(_LEAST_BILLED, billed)

    def page(self, job_id: str, start: int, most: int = _PAGE) -> dict[str, Any]:
        """A page of a query's rows; `rows` is JSON already."""
        job = self.jobs[job_id]
        cells = ", ".join(f"{{'v': {_text(name, kind)}}}" for name, kind in job["_columns"])
        end = min(start + min(most, _PAGE), job["_total"])
        with self._con.cursor() as con:
            found = con.execute(
                f"SELECT to_json({{'f': [{cells}]}}) FROM results.{job_id} "
                f"WHERE rowid >= {start} AND rowid < {end} ORDER BY rowid"
            ).fetchall()
        return {
            "kind": "bigquery#queryResponse",
            "jobReference": job["jobReference"],
            "jobComplete": True,
            "totalRows": str(job["_total"]),
            "totalBytesProcessed": "0",
            "schema": {"fields": [{"name": name, "type": kind, "mode": "NULLABLE"} for name, kind in job["_columns"]]},
            **({"pageToken": str(end)} if end < job["_total"] else {}),
            "rows": [row for (row,) in found],
        }


def _stored(tree: exp.Expr) -> list[exp.Table]:
    """The tables of a query that are tables, and not names within it."""
    return [table for table in tree.find_all(exp.Table) if table.db]


def in_duckdb(tree: exp.Expr) -> str:
    for table in tree.find_all(exp.Table):
        table.set("catalog", None)
    for kind in tree.find_all(exp.DataType):
        if kind.this == exp.DataType.Type.BIGDECIMAL:
            kind.replace(exp.DataType.build("INT128"))
    for length in tree.find_all(exp.ByteLength):  # what sqlglot makes of it takes no text in DuckDB
        length.replace(exp.Anonymous(this="strlen", expressions=[length.this]))
    return tree.sql("duckdb")


def _name(dataset: str, table: str) -> str:
    return f"{identifier(dataset)}.{identifier(table)}"


def _text(name: str, kind: str) -> str:
    """A value as the API writes it into JSON."""
    if kind == "DATETIME":
        return f"strftime({identifier(name)}, '%Y-%m-%dT%H:%M:%S.%f')"
    return f"{identifier(name)}::VARCHAR"


def _value(parameter: Mapping[str, Any]) -> Any:
    kind, value = parameter["parameterType"], parameter["parameterValue"]
    if kind == {"type": "DATE"}:
        return date.fromisoformat(value["value"])
    assert kind == {"type": "ARRAY", "arrayType": {"type": "DATE"}}
    return [date.fromisoformat(it["value"]) for it in value.get("arrayValues", [])]


def _checked(column: Mapping[str, Any]) -> dict[str, Any]:
    """A field of a schema as the API gives it back."""
    if len(column.get("description") or "") > 1024:
        raise RefusedError(400, "invalid", f"The description for field {column['name']} is too long (1024 at most)")
    return {**column, "type": _API_NAMES.get(column["type"], column["type"]), "mode": column.get("mode", "NULLABLE")}


def _by_name(schema: Mapping[str, Any]) -> dict[str, str]:
    return {it["name"]: it["type"] for it in schema["fields"]}


def _require_growth(old: Mapping[str, Any], new: Mapping[str, Any], where: str, *, may_lack: bool = False) -> None:
    there = _by_name({"fields": [_checked(it) for it in new["fields"]]})
    for name, kind in _by_name(old).items():
        told = f"Provided Schema does not match Table {where}. "
        if name not in there and not may_lack:
            raise RefusedError(400, "invalid", f"{told}Field {name} is missing in new schema")
        if there.get(name, kind) != kind:
            raise RefusedError(400, "invalid", f"{told}Field {name} has changed type from {kind} to {there[name]}")


def _require_no_more(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> None:
    for name in _by_name(new).keys() - _by_name(old).keys():
        told = f"Provided Schema does not match Table {where}. Cannot add fields (field: {name})"
        raise RefusedError(400, "invalid", told)


def _require_columns(schema: Mapping[str, Any], there: Sequence[str]) -> None:
    for name in _by_name(schema).keys() - set(there):
        raise RefusedError(400, "invalid", f"Required field {name} is missing in the file")


def _require_types(file: pa.Schema, schema: Mapping[str, Any]) -> None:
    wanted = _by_name(schema)
    for column in file:
        kind = _of_arrow(column.type)
        if column.name not in wanted:
            raise RefusedError(400, "invalid", f"No such field: {column.name}")
        local = pa.types.is_timestamp(column.type) and column.type.tz is None
        if wanted[column.name] != kind and not (wanted[column.name] == "DATETIME" and local):
            told = f"Field {column.name} has type parquet.{kind} which does not match {wanted[column.name]}"
            raise RefusedError(400, "invalid", told)


def _of_arrow(kind: pa.DataType) -> str:
    known: Sequence[tuple[Any, str]] = (
        (pa.types.is_integer, "INTEGER"),
        (pa.types.is_floating, "FLOAT"),
        (pa.types.is_timestamp, "TIMESTAMP"),
        (pa.types.is_date, "DATE"),
        (pa.types.is_string, "STRING"),
        (pa.types.is_large_string, "STRING"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_binary, "BYTES"),
        (pa.types.is_time, "TIME"),
        (pa.types.is_decimal, "NUMERIC"),
    )
    return next(name for fits, name in known if fits(kind))


def as_json(answer: Mapping[str, Any]) -> bytes:
    """An answer's body; rows are JSON already, and what begins with `_` is nobody's business."""
    shown = {key: value for key, value in answer.items() if not key.startswith("_") and key != "rows"}
    if "rows" not in answer:
        return json.dumps(shown).encode()
    return f'{json.dumps(shown)[:-1]}, "rows": [{",".join(answer["rows"])}]}}'.encode()
