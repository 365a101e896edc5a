"""A job is one dataset and one month; its checks come with it."""

import dagster as dg
import pytest

from taxi_platform.automation.jobs import build_jobs
from taxi_platform.core.catalog import load_catalog
from taxi_platform.definitions import build_definitions
from taxi_platform.settings import Settings
from taxi_platform_tests.assets.platform import CHECKS

DATASETS = ["yellow", "green", "fhv", "fhvhv"]


@pytest.mark.parametrize(
    ("job", "checks"),
    [
        *(
            (f"{it}_trips_job", {*CHECKS["raw"], *CHECKS["cleaned"], *CHECKS["lake"], *CHECKS["warehouse"]})
            for it in DATASETS
        ),
        *((f"{it}_to_lake_job", {*CHECKS["raw"], *CHECKS["cleaned"], *CHECKS["lake"]}) for it in DATASETS),
        *((f"{it}_to_warehouse_job", {*CHECKS["warehouse"]}) for it in DATASETS),
        *((f"{it}_verify_job", {"table_matches_lake"}) for it in DATASETS),
        ("taxi_zones_job", set()),
    ],
)
def test_a_job_brings_the_checks_of_what_it_makes(job: str, checks: set[str]) -> None:
    graph = build_definitions(Settings()).resolve_asset_graph()
    (selection,) = [it.selection for it in build_jobs(load_catalog()) if it.name == job]
    assert {key.name for key in selection.resolve_checks(graph)} == checks


def test_every_job_says_what_it_does() -> None:
    for job in build_jobs(load_catalog()):
        assert job.description and len(job.description) > 20, job.name


def test_a_month_a_job_cannot_have_is_refused_before_anything_runs() -> None:
    job = build_definitions(Settings()).resolve_job_def("green_trips_job")
    for month in ("2013-07", "2999-01", "2021-13", "January"):
        with pytest.raises((dg.DagsterUnknownPartitionError, ValueError), match=month):
            job.execute_in_process(partition_key=month)
