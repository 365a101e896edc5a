"""The same month through the whole chain, whatever the lake and the warehouse are."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from taxi_platform_tests.assets.platform import ALL_PASS, Platform, check_of, checks_of, metadata_of
from taxi_platform_tests.core.cleaning.months import HEADS, REAL_DATA
from taxi_platform_tests.core.lake.gcs_server import running_storage

MONTH = "2020-11"


@dataclass(frozen=True)
class Stores:
    """A lake and a warehouse, by the URLs a user would set; empty is what the laptop has."""

    lake_url: str = ""
    warehouse_url: str = ""

    @property
    def schema(self) -> str:
        """Where the tables are, as people name it in SQL."""
        parts = urlsplit(self.warehouse_url)
        return parts.path.strip("/") if parts.scheme == "bigquery" else "taxi"


@pytest.fixture(params=["folder and DuckDB", "folder and Postgres", "GCS and Postgres", "GCS and BigQuery"])
def stores(request: pytest.FixtureRequest) -> Stores:
    lake, _, warehouse = request.param.partition(" and ")
    lakes: dict[str, Callable[[], str]] = {"folder": str, "GCS": lambda: request.getfixturevalue("bucket_url")}
    warehouses: dict[str, Callable[[], str]] = {
        "DuckDB": str,
        "Postgres": lambda: request.getfixturevalue("postgres").new_database(),
        "BigQuery": lambda: request.getfixturevalue("bigquery").url(),
    }
    return Stores(lakes[lake](), warehouses[warehouse]())


@pytest.fixture
def bucket_url(monkeypatch: pytest.MonkeyPatch) -> Generator[str, None, None]:
    with running_storage() as google:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.endpoint)
        google.create_bucket("taxi-lake")
        yield "gs://taxi-lake/trips"


@pytest.fixture
def platform(stores: Stores, tmp_path: Path) -> Platform:
    return Platform(tmp_path / "data", lake_url=stores.lake_url, warehouse_url=stores.warehouse_url)


def test_a_month_goes_through_the_chain_and_every_check_holds(platform: Platform, stores: Stores) -> None:
    assert checks_of(platform.run("green_trips_job", MONTH)) == ALL_PASS
    result = platform.run("green_trips_job", MONTH)  # over what is there
    assert checks_of(result) == ALL_PASS

    loaded = metadata_of(result, "warehouse", "green_trips")
    assert loaded["dagster/table_name"] == f"{stores.schema}.green_trips"
    in_lake = metadata_of(result, "lake", "green_trips")
    assert in_lake["dagster/uri"].startswith(stores.lake_url or str(platform.data_dir))
    trips = platform.load("warehouse", "green", MONTH, pa.Table)
    assert trips.num_rows == loaded["dagster/partition_row_count"] == in_lake["dagster/partition_row_count"]


def test_the_lake_and_the_warehouse_load_as_whatever_is_asked_for(platform: Platform, stores: Stores) -> None:
    platform.run("green_trips_job", MONTH)
    for layer in ("lake", "warehouse"):
        frame, table = (platform.load(layer, "green", MONTH, it) for it in (pd.DataFrame, pa.Table))
        relation = platform.load(layer, "green", MONTH, duckdb.DuckDBPyRelation)
        assert len(frame) == table.num_rows == len(relation.fetchall()) > 1_900
    uri = platform.load("lake", "green", MONTH, str)
    assert uri.startswith(stores.lake_url or str(platform.data_dir))
    assert uri.endswith("green_trips/source_month=2020-11/green_tripdata_2020-11.parquet")


def test_the_zones_reach_the_warehouse(platform: Platform) -> None:
    platform.run("taxi_zones_job")
    frame = platform.defs.load_asset_value(
        ["reference", "taxi_zones"], python_type=pd.DataFrame, instance=platform.instance
    )
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 265


@pytest.mark.parametrize("month", ["2019-01", "2023-03"], ids=["CSV", "Parquet"])
def test_the_first_rows_tlc_wrote_are_the_same_in_every_store(stores: Stores, month: str, tmp_path: Path) -> None:
    platform = Platform(
        tmp_path / "data", source=str(HEADS), lake_url=stores.lake_url, warehouse_url=stores.warehouse_url
    )
    result = platform.run("green_trips_job", month)
    rows = metadata_of(result, "warehouse", "green_trips")["dagster/partition_row_count"]
    assert rows == metadata_of(result, "raw", "green_trips")["dagster/partition_row_count"] > 0
    assert check_of(result, "table_matches_lake").passed


@pytest.mark.skipif(not (REAL_DATA / "trips").is_dir(), reason="TLC's own files are not beside the project")
def test_a_real_month_has_the_same_rows_in_every_store(stores: Stores, tmp_path: Path) -> None:
    platform = Platform(
        tmp_path / "data",
        source=str(REAL_DATA / "trips"),
        lake_url=stores.lake_url,
        warehouse_url=stores.warehouse_url,
    )
    result = platform.run("green_trips_job", MONTH)
    assert metadata_of(result, "warehouse", "green_trips")["dagster/partition_row_count"] == 88_413
    assert check_of(result, "table_matches_lake").passed
