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
from taxi_platform.core.warehouse.bigquery.dataset import Dataset

#: The label that says which call a job was submitted by.
CALL = "taxi_call"
_LOADS_A_DAY = 1_500  # of one table: https://cloud.google.com/bigquery/quotas#load_jobs
_MAY_PASS_LATER = ("backendError", "internalError", "rateLimitExceeded", "jobBackendError", "jobInternalError")
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

    def run(self, source: Path | str) -> int:
        """Submit the load and wait for its end.

        Args:
            source: A file to upload, or the URI of an object in Cloud Storage.

        Returns:
            How many rows were loaded.

        Raises:
            WarehouseError: The load failed, or did not end in time.
        """
        deadline = time.monotonic() + self.dataset.patience
        job = self._submitted(source, deadline)
        self._wait(job, deadline)
        if job.error_result:
            reason = str(job.error_result.get("reason"))
            raise WarehouseError(
                "the load failed; the table is as it was",
                where=f"{self.dataset.name}.{self.target} in {self.dataset}",
                cause=f"{reason}: {job.error_result.get('message')}",
                fix=f"see what BigQuery says above (more: bq show -j {self._shown(job)}), then run the month again",
                may_pass_later=reason in _MAY_PASS_LATER,
            )
        return int(job.output_rows or 0)

    def _submitted(self, source: Path | str, deadline: float) -> bigquery.LoadJob:
        """This call's job, once those before it have ended."""
        today = datetime.now(UTC).date()
        self._let_end(today - timedelta(days=1), deadline)  # no load may take longer than six hours
        for number in range(self._let_end(today, deadline), _LOADS_A_DAY + 1):
            job_id = self._job_id(today, number)
            try:
                return self._insert(source, job_id)
            except Conflict:
                other = self._holder(job_id)
            if other is not None and other.labels.get(CALL) == self.call:
                return other
            if other is not None:
                self._wait(other, deadline)
        raise self._exhausted()

    def _let_end(self, day: date, deadline: float) -> int:
        """Wait for a day's loads to end; the first number of that day that is free."""
        for number in range(1, _LOADS_A_DAY + 1):
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
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
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
        """As `_seen`, of an id that Google has just said is taken.

        For a moment its job may not be found (https://github.com/googleapis/python-bigquery/issues/2134).
        """
        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NotFound),
            stop=tenacity.stop_after_attempt(4),
            wait=tenacity.wait_exponential(multiplier=0.5),
            reraise=True,
        )
        try:
            return again(self._get, job_id)
        except (NotFound, Forbidden):
            return None

    def _get(self, job_id: str) -> bigquery.LoadJob:
        dataset = self.dataset
        job: Any = dataset.client.get_job(
            job_id, location=dataset.location, retry=dataset.retry, timeout=dataset.timeout
        )
        return job  # the ids are those of loads only

    def _wait(self, job: bigquery.LoadJob, deadline: float) -> None:
        pause = 0.05
        while job.state != "DONE":
            if time.monotonic() > deadline:
                raise WarehouseError(
                    f"load job {job.job_id} had not ended after {self.dataset.patience:.0f} s",
                    where=f"{self.dataset.name}.{self.target} in {self.dataset}",
                    cause="BigQuery is slow; the old rows are there until it ends, and the new ones after",
                    fix=f"see how far it is with: bq show -j {self._shown(job)}, then run the month again",
                    may_pass_later=True,
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 10.0)
            with self.dataset.explained(f"how load job {job.job_id} ended is not known"):
                job.reload(retry=self.dataset.retry, timeout=self.dataset.timeout)

    def _exhausted(self) -> WarehouseError:
        return WarehouseError(
            f"the table was loaded {_LOADS_A_DAY:,} times today, which is all that BigQuery allows",
            where=f"{self.dataset.name}.{self.target} in {self.dataset}",
            fix="find out what loads it over and over, and run the month again tomorrow",
        )

    def _job_id(self, day: date, number: int) -> str:
        return f"taxi-{self.dataset.name}-{self.target.replace('$', '-')}-{day:%Y%m%d}-{number}"

    def _shown(self, job: bigquery.LoadJob) -> str:
        return f"{self.dataset.project}:{self.dataset.location}.{job.job_id}"
