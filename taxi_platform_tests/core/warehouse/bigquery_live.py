"""A dataset of BigQuery itself, for the suites to run over what the stand-in only imitates."""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

from google.cloud import bigquery

from taxi_platform.core.google import ApplicationDefault
from taxi_platform.core.warehouse.bigquery.dataset import Dataset

#: Names a dataset beside which others may be made, such as `bigquery://project/taxi_tests`.
VARIABLE = "TAXI_TEST_BIGQUERY_URL"


@contextmanager
def live_dataset() -> Generator[str, None, None]:
    """A fresh dataset beside the one that `TAXI_TEST_BIGQUERY_URL` names, gone when the block ends; yields its URL."""
    beside = Dataset.of_url(os.environ[VARIABLE], ApplicationDefault())
    reference = bigquery.DatasetReference(beside.project, f"{beside.name}_{uuid4().hex[:8]}")
    dataset = bigquery.Dataset(reference)
    dataset.location = beside.location
    dataset.default_table_expiration_ms = int(timedelta(hours=2) / timedelta(milliseconds=1))  # if nobody clears up
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
