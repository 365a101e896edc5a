"""Load jobs: one after the other for each month of a table, submitted once, waited for, and explained.

A process may be killed while its load is under way at Google, which ends it all the same. If the next run did not know
of it, that older load could end last and bring back what was replaced. A job's id is what prevents it: Google takes
every id once. The loads of a month are numbered (`taxi-<dataset>-<table>-<month>-<day of the load>-<number>`), and
whoever wants to load it takes the first number that is free, after all those before it have ended. If two want the
same number Google gives it to one of them, and the other waits for that one to end. So the loads of a month do not
overlap, and the last one to be submitted is the last one to take effect. The day is in the id because nobody says
whether an id is free again when its job is forgotten, after half a year, and to keep the numbers small.

The same id makes a lost answer harmless: the request is repeated, Google says that it has this job already, and the
label `taxi_call` tells this call's job from somebody else's.
"""

# Google's library is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import tenacity
from google.api_core.exceptions import Conflict, Forbidden, NotFound
from google.cloud import bigquery

from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.google_reasons import reason_of
from taxi_platform.core.warehouse.bigquery.dataset import ROLES, Dataset

#: The label that says which call a job was submitted by.
CALL = "taxi_call"
#: Loads of one month of a table in a day. What counts is that a load changes a partition: BigQuery takes 30,000 changes
#: of a table's partitions a day, and 50 in 10 s (https://cloud.google.com/bigquery/quotas#partitioned_tables); the
#: 1,500 of `quotas#standard_tables` are those of tables without partitions, such as the lookup's.
LOADS_A_DAY = 30_000
#: Seconds in which a job that Google has accepted may still be unknown to it: `jobs.get` is answered by another part of
#: BigQuery than `jobs.insert` (https://github.com/googleapis/python-bigquery/issues/2134).
UNKNOWN_FOR = 15.0
#: Seconds after which waiting for a load is told; most of them have ended by then.
_UNTOLD = 30.0
_log = logging.getLogger(__name__)
_TRUNCATE_MONTH = bigquery.WriteDisposition.WRITE_TRUNCATE
#: Of a whole table WRITE_TRUNCATE replaces the schema, words and all; this keeps it
#: (https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad, writeDisposition).
_TRUNCATE_TABLE = bigquery.WriteDisposition.WRITE_TRUNCATE_DATA
_UPLOAD_TIMEOUT = (60.0, 600.0)  # to connect, and to answer once a chunk of 100 MB has arrived


@dataclass(frozen=True)
class Load:
    """Makes a Parquet file the only rows of a table, or of one month of it.

    Attributes:
        dataset: Where the table is.
        table: The table as it is now; the file may lack columns of it, but has none it does not have.
        target: The table's name, or `table$YYYYMM` for a month of it.
        labels: What the job is labelled with.
        call: Tells this call's job, and what it leaves in a bucket, from those of others.
    """

    dataset: Dataset
    table: bigquery.Table
    target: str
    labels: Mapping[str, str]
    call: str = field(default_factory=lambda: uuid4().hex)

    def run(self, source: Path | str, rows: int) -> int:
        """Submit the load and wait for its end.

        Args:
            source: A file to upload, or the URI of an object in Cloud Storage.
            rows: How many rows it has.

        Returns:
            How many rows were loaded.

        Raises:
            WarehouseError: The load failed, did not end in time, or was of another number of rows.
        """
        deadline = time.monotonic() + self.dataset.patience
        job = self._submitted(source, deadline)
        self._wait(job, deadline)
        if job.error_result:
            raise self._failed(job)
        written = int(job.output_rows or 0)
        if written != rows:
            raise WarehouseError(
                f"BigQuery loaded {written:,} rows of {rows:,}, and they are in the table now",
                where=f"{self.dataset.name}.{self.target} in {self.dataset}",
                cause="it does not count as the file's own footer does",
                fix=f"see the job with: bq show -j {self._shown(job.job_id)}, then run the month again",
            )
        return written

    def empty(self) -> int:
        """Make the month one of no rows, once the loads before have ended; returns how many rows it has, which is none.

        The partition is deleted, by the name with its decorator
        (https://cloud.google.com/bigquery/docs/managing-partitioned-tables#delete_a_partition). Whether a load of a
        Parquet file without rows empties one, the documentation does not say.

        Raises:
            WarehouseError: A load before did not end in time.
        """
        deadline = time.monotonic() + self.dataset.patience
        today = datetime.now(UTC).date()
        for day in (today - timedelta(days=1), today):
            self._let_end(day, deadline)
        self.dataset.client.delete_table(
            self.dataset.table(self.target),
            retry=self.dataset.retry,
            timeout=self.dataset.timeout,
            not_found_ok=True,  # it is empty already
        )
        return 0

    def _failed(self, job: bigquery.LoadJob) -> WarehouseError:
        told: Any = job.error_result
        reason, said = str(told.get("reason")), str(told.get("message"))
        meaning = reason_of([reason], said)
        place = next((uri.split("/")[2] for uri in job.source_uris or ()), self.dataset.project)
        more = f"(more: bq show -j {self._shown(job.job_id)})"
        if meaning is not None:
            cause, fix = f"{meaning.why}: {reason}: {said}", f"{meaning.fix.format(place=place)} {more}"
        elif reason == "accessDenied":
            cause, fix = f"{reason}: {said}", f"grant the account {ROLES} {more}, then run the month again"
        else:
            cause, fix = f"{reason}: {said}", f"see what BigQuery says above {more}, then run the month again"
        return WarehouseError(
            "the load failed; the table is as it was",
            where=f"{self.dataset.name}.{self.target} in {self.dataset}",
            cause=cause,
            fix=fix,
            may_pass_later=meaning is not None and meaning.may_pass_later,
        )

    def _submitted(self, source: Path | str, deadline: float) -> bigquery.LoadJob:
        """This call's job, once those before it have ended."""
        today = datetime.now(UTC).date()
        self._let_end(today - timedelta(days=1), deadline)  # no load may take longer than six hours
        for number in range(self._let_end(today, deadline), LOADS_A_DAY + 1):
            job_id = self._job_id(today, number)
            try:
                return self._insert(source, job_id)
            except Conflict:
                other = self._holder(job_id)
            if other is not None and other.labels.get(CALL) == self.call:
                return other
            if other is not None:
                self._wait(other, deadline)
            elif time.monotonic() > deadline:  # of an account whose loads this one may not see, one after the other
                raise self._overdue(job_id)
        raise self._exhausted()

    def _let_end(self, day: date, deadline: float) -> int:
        """Wait for a day's loads to end; the first number of that day that is free."""
        for number in range(1, LOADS_A_DAY + 1):
            job = self._seen(self._job_id(day, number))
            if job is None:
                return number
            self._wait(job, deadline)
        raise self._exhausted()

    def _insert(self, source: Path | str, job_id: str) -> bigquery.LoadJob:
        client, target = self.dataset.client, self.dataset.table(self.target)
        # BigQuery would read a Parquet timestamp as a TIMESTAMP; where the schema given says DATETIME it takes one that
        # is not adjusted to UTC as that wall clock (https://github.com/googleapis/python-bigquery/issues/985).
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=_TRUNCATE_MONTH if "$" in self.target else _TRUNCATE_TABLE,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            schema=self.table.schema,
            labels={**self.labels, CALL: self.call},
        )
        about: dict[str, Any] = {"job_id": job_id, "location": self.dataset.location, "job_config": config}
        if isinstance(source, str):
            return client.load_table_from_uri(
                source, target, retry=self.dataset.retry, timeout=self.dataset.timeout, **about
            )
        with source.open("rb") as file:
            return client.load_table_from_file(
                file, target, size=source.stat().st_size, timeout=_UPLOAD_TIMEOUT, **about
            )

    def _seen(self, job_id: str) -> bigquery.LoadJob | None:
        """The job of that id; None if there is none, or it is of an account whose jobs this one may not see."""
        try:
            return self._get(job_id)
        except (NotFound, Forbidden):
            return None

    def _holder(self, job_id: str) -> bigquery.LoadJob | None:
        """As `_seen`, of an id that Google has just said is taken."""
        try:
            return _soon_known()(self._get, job_id)
        except (NotFound, Forbidden):
            return None

    def _get(self, job_id: str) -> bigquery.LoadJob:
        dataset = self.dataset
        job: Any = dataset.client.get_job(
            job_id, location=dataset.location, retry=dataset.retry, timeout=dataset.timeout
        )
        return job  # the ids are those of loads only

    def _wait(self, job: bigquery.LoadJob, deadline: float) -> None:
        pause, untold = 0.05, time.monotonic() + min(_UNTOLD, self.dataset.patience / 2)
        while job.state != "DONE":
            now = time.monotonic()
            if now > deadline:
                raise self._overdue(job.job_id)
            if now > untold:
                untold = float("inf")
                _log.warning(
                    "%s.%s: waiting for load job %s to end, for %.0f s at most",
                    *(self.dataset.name, self.target, self._shown(job.job_id), deadline - now),
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 10.0)
            with self.dataset.explained(f"how load job {job.job_id} ended is not known"):
                self._reload(job)

    def _reload(self, job: bigquery.LoadJob) -> None:
        try:
            _soon_known()(job.reload, retry=self.dataset.retry, timeout=self.dataset.timeout)
        except NotFound as error:
            raise WarehouseError(
                f"load job {job.job_id} is not known to BigQuery, which has accepted it",
                where=f"{self.dataset.name}.{self.target} in {self.dataset}",
                cause=f"{error.message}, {UNKNOWN_FOR:.0f} s after it was accepted",
                fix=f"see what became of it with: bq show -j {self._shown(job.job_id)}, then run the month again",
                may_pass_later=True,
            ) from None

    def _overdue(self, job_id: str | None) -> WarehouseError:
        return WarehouseError(
            f"load job {job_id} had not ended after {self.dataset.patience:.0f} s",
            where=f"{self.dataset.name}.{self.target} in {self.dataset}",
            cause="BigQuery is slow; the old rows are there until it ends, and the new ones after",
            fix=f"see how far it is with: bq show -j {self._shown(job_id)}, then run the month again",
            may_pass_later=True,
        )

    def _exhausted(self) -> WarehouseError:
        return WarehouseError(
            f"the month was loaded {LOADS_A_DAY:,} times today, which is all that BigQuery allows",
            where=f"{self.dataset.name}.{self.target} in {self.dataset}",
            cause=f"BigQuery takes {LOADS_A_DAY:,} changes of a table's partitions a day",
            fix="find out what loads it over and over, and run the month again tomorrow",
            may_pass_later=True,
        )

    def _job_id(self, day: date, number: int) -> str:
        return f"taxi-{self.dataset.name}-{self.target.replace('$', '-')}-{day:%Y%m%d}-{number}"

    def _shown(self, job_id: str | None) -> str:
        return f"{self.dataset.project}:{self.dataset.location}.{job_id}"


def _soon_known() -> tenacity.Retrying:
    """Repeats a look at a job that Google has just accepted, until it knows it."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(NotFound),
        stop=tenacity.stop_after_delay(UNKNOWN_FOR),
        wait=tenacity.wait_exponential(multiplier=0.1, max=2),
        reraise=True,
    )
