"""A dataset of BigQuery itself, for the suites to run over what the stand-in only imitates."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from google.cloud import bigquery

from taxi_platform.core.google import ApplicationDefault
from taxi_platform.core.warehouse.bigquery.dataset import Dataset

#: Names a dataset beside which others may be made, such as `bigquery://project/taxi_tests`.
VARIABLE = "TAXI_TEST_BIGQUERY_URL"
_LABEL = "of_a_live_test"


#: After which a dataset that a killed test left behind is removed by the next one. (A default expiration would do it by
#: itself, but the platform refuses a dataset that has one.)
_STALE = timedelta(hours=6)


@contextmanager
def live_dataset(location: str = "") -> Generator[str, None, None]:
    """A fresh dataset beside the one that `TAXI_TEST_BIGQUERY_URL` names, gone when the block ends; yields its URL.

    Args:
        location: Where it is; where the other is unless something is said.
    """
    beside = Dataset.of_url(os.environ[VARIABLE], ApplicationDefault())
    reference = bigquery.DatasetReference(beside.project, f"{beside.name}_{uuid4().hex[:8]}")
    dataset = bigquery.Dataset(reference)
    dataset.location = location or beside.location
    dataset.labels = {_LABEL: "true"}
    for other in beside.client.list_datasets(beside.project, filter=f"labels.{_LABEL}"):
        created = beside.client.get_dataset(other.reference).created
        if created is not None and datetime.now(UTC) - created > _STALE:
            beside.client.delete_dataset(other.reference, delete_contents=True, not_found_ok=True)
    beside.client.create_dataset(dataset)
    try:
        yield f"bigquery://{beside.project}/{dataset.dataset_id}"
    finally:
        beside.client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def live_comments(url: str, table: str) -> Mapping[str, str]:
    """The descriptions of a table (under the name "") and its columns."""
    dataset = Dataset.of_url(url, ApplicationDefault())
    found = dataset.client.get_table(dataset.table(table))
    return {"": found.description or "", **{it.name: it.description or "" for it in found.schema}}
