"""An asset as the type its reader asks for, one month or several."""

import gzip
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source import RawFile
from taxi_platform.definitions import build_definitions
from taxi_platform.settings import Settings
from taxi_platform_tests.assets.platform import Platform, failure_of
from taxi_platform_tests.core.lake.gcs_server import running_storage

LAYERS = ["raw", "cleaned", "quarantine", "lake", "warehouse"]
MONTHS = ["2021-01", "2021-02", "2021-03"]


@dataclass(frozen=True)
class InBucket(Platform):
    """A platform whose lake is elsewhere."""

    lake_url: str = ""

    @cached_property
    def defs(self) -> dg.Definitions:
        settings = Settings(self.data_dir, self.source, self.sample_rows, self.lake_url)
        return build_definitions(settings, self.catalog)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Three months of green, for tests that only read."""
    platform = Platform(tmp_path_factory.mktemp("platform") / "data", sample_rows=1_000)
    for month in MONTHS:
        platform.run("green_trips_job", month)
    return platform


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, pd.DataFrame),
        (pd.DataFrame, pd.DataFrame),
        (pa.Table, pa.Table),
        (duckdb.DuckDBPyRelation, duckdb.DuckDBPyRelation),
    ],
)
def test_a_month_of_any_layer_loads_as_the_type_asked_for(
    platform: Platform, layer: str, asked: type | None, given: type
) -> None:
    loaded = platform.load(layer, "green", "2021-01", asked)
    assert isinstance(loaded, given)
    assert rows_of(loaded) == expected_rows(platform, layer, "2021-01")
    assert columns_of(loaded)[0] == "source_month"
    contract = platform.catalog.trips["green"]
    if layer in ("cleaned", "lake", "warehouse"):
        assert columns_of(loaded) == [column.name for column in contract.table_columns]
    if layer == "raw":
        assert columns_of(loaded)[1:] == list(contract.layout_of(Month(2021, 1), "csv").header)


@pytest.mark.parametrize(
    ("layer", "asked"),
    [(layer, it) for layer in LAYERS for it in (dict, str, list[int]) if (layer, it) != ("lake", str)],
)
def test_a_type_rows_cannot_be_loaded_as_is_a_clear_error(platform: Platform, layer: str, asked: Any) -> None:
    with pytest.raises(dg.Failure) as raised:
        platform.load(layer, "green", "2021-01", asked)
    message = str(raised.value.description)
    assert message.startswith(f"{layer}/green_trips: cannot be loaded as ")
    assert "pd.DataFrame, pa.Table or duckdb.DuckDBPyRelation" in message


def test_files_load_as_themselves(platform: Platform) -> None:
    raw = platform.load("raw", "green", "2021-01", RawFile)
    assert isinstance(raw, RawFile)
    assert raw.rows == 1_000
    for layer in ("cleaned", "quarantine", "lake"):
        file = platform.load(layer, "green", "2021-01", ParquetFile)
        assert isinstance(file, ParquetFile)
        assert file.lineage.month == "2021-01"


def test_a_month_of_the_lake_loads_as_its_uri(platform: Platform) -> None:
    uri = platform.load("lake", "green", "2021-01", str)
    assert uri == str(platform.in_lake("green", "2021-01").path)
    with pytest.raises(dg.Failure, match="green 2020-05: the lake does not hold this month"):
        platform.load("lake", "green", "2020-05", str)


def test_a_uri_in_a_bucket_is_loaded_without_the_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_storage() as google:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.endpoint)
        google.create_bucket("trips")
        platform = InBucket(tmp_path / "data", sample_rows=100, lake_url="gs://trips/lake")
        platform.run("green_to_lake_job", "2021-01")
        before = len(google.downloads())
        key = "lake/green_trips/source_month=2021-01/green_tripdata_2021-01.parquet"
        assert platform.load("lake", "green", "2021-01", str) == f"gs://trips/{key}"
        assert len(google.downloads()) == before
        assert len(platform.load("lake", "green", "2021-01")) == platform.parquet("cleaned", "green", "2021-01").rows


def test_the_layers_hold_the_same_rows(platform: Platform) -> None:
    cleaned, lake, table = (platform.load(layer, "green", "2021-01") for layer in ("cleaned", "lake", "warehouse"))
    names = list(cleaned.columns)
    for other in (lake, table):
        left, right = (frame.sort_values(names, ignore_index=True) for frame in (cleaned, other[names]))
        pd.testing.assert_frame_equal(left, right)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("as_type", [pd.DataFrame, pa.Table, duckdb.DuckDBPyRelation])
def test_a_users_asset_over_three_months_gets_them_all_told_apart(
    platform: Platform, layer: str, as_type: type
) -> None:
    seen: list[tuple[list[str], int]] = []

    def report(trips: Any) -> None:
        assert isinstance(trips, as_type)
        months = trips.to_arrow_table() if isinstance(trips, duckdb.DuckDBPyRelation) else trips
        column = months["source_month"] if isinstance(months, pd.DataFrame) else months.column("source_month")
        values = column.tolist() if isinstance(months, pd.DataFrame) else column.to_pylist()
        seen.append((sorted({str(value)[:7] for value in values}), len(values)))

    report.__annotations__["trips"] = as_type
    three_months = dg.TimeWindowPartitionMapping(start_offset=-2)
    key = dg.AssetKey([layer, "green_trips"])
    asset = dg.asset(
        ins={"trips": dg.AssetIn(key=key, partition_mapping=three_months)},
        partitions_def=dg.MonthlyPartitionsDefinition(start_date="2021-03", fmt="%Y-%m"),
    )(report)
    run_of_asset(platform, asset, "2021-03")

    assert seen == [(MONTHS, sum(expected_rows(platform, layer, month) for month in MONTHS))]


@pytest.mark.parametrize("as_type", [ParquetFile, str])
def test_a_users_asset_over_several_months_cannot_have_them_as_one_file(platform: Platform, as_type: type) -> None:
    def report(trips: Any) -> None: ...

    report.__annotations__["trips"] = as_type
    asset = dg.asset(
        ins={
            "trips": dg.AssetIn(
                key=["lake", "green_trips"], partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1)
            )
        },
        partitions_def=dg.MonthlyPartitionsDefinition(start_date="2021-02", fmt="%Y-%m"),
    )(report)

    message = failure_of(run_of_asset(platform, asset, "2021-02", succeeds=False))
    assert f"lake/green_trips: cannot be loaded as {as_type.__name__}" in message


def test_a_month_that_was_never_made_is_named_with_what_to_do(platform: Platform) -> None:
    for layer in ("raw", "cleaned", "quarantine", "lake"):
        with pytest.raises(dg.Failure) as raised:
            platform.load(layer, "green", "2020-05")
        assert "2020-05" in str(raised.value.description), layer
        assert "Fix: " in str(raised.value.description), layer
    assert len(platform.load("warehouse", "green", "2020-05")) == 0  # the table is there, the month is not in it


def test_dates_far_ahead_survive_the_way_to_a_data_frame(tmp_path: Path) -> None:
    platform = with_file(tmp_path, pickups=["2041-11-17 04:59:46", "3019-02-03 17:24:25", "2021-01-05 08:00:00"])
    for layer in ("cleaned", "lake", "warehouse"):
        frame = platform.load(layer, "green", "2021-01")
        assert sorted(str(it) for it in frame["pickup_datetime"]) == [
            "2021-01-05 08:00:00",
            "2041-11-17 04:59:46",
            "3019-02-03 17:24:25",
        ]
        table = platform.load(layer, "green", "2021-01", pa.Table)
        assert datetime(3019, 2, 3, 17, 24, 25) in table.column("pickup_datetime").to_pylist()
        assert table.column("source_month").to_pylist() == [date(2021, 1, 1)] * 3


def test_a_raw_file_loads_as_published_and_its_malformed_lines_are_counted_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    platform = with_file(tmp_path, pickups=["soon", "2021-01-05 08:00:00"], more_lines=["cut,off"])
    capfd.readouterr()
    frame = platform.load("raw", "green", "2021-01")
    assert frame["lpep_pickup_datetime"].tolist() == ["soon", "2021-01-05 08:00:00"]
    assert "1 of 3 lines are no rows" in capfd.readouterr().err


def with_file(folder: Path, pickups: list[str], more_lines: list[str] | None = None) -> Platform:
    """A platform with one month of green that has a row for each of some pickups."""
    source = folder / "source"
    source.mkdir()
    platform = Platform(folder / "data", source=str(source))
    header = platform.catalog.trips["green"].layout_of(Month(2021, 1), "csv").header
    lines = [",".join(pickup if name == "lpep_pickup_datetime" else "" for name in header) for pickup in pickups]
    text = "\n".join([",".join(header), *lines, *(more_lines or []), ""])
    (source / "green_tripdata_2021-01.csv.gz").write_bytes(gzip.compress(text.encode()))
    platform.run("green_trips_job", "2021-01")
    return platform


def run_of_asset(
    platform: Platform, asset: dg.AssetsDefinition, month: str, *, succeeds: bool = True
) -> dg.ExecuteInProcessResult:
    """Run a user's own asset beside the platform's."""
    job = dg.define_asset_job("users_job", [asset], executor_def=dg.in_process_executor)
    return platform.run(
        "users_job",
        month,
        defs=dg.Definitions.merge(platform.defs, dg.Definitions(assets=[asset], jobs=[job])),
        succeeds=succeeds,
    )


def expected_rows(platform: Platform, layer: str, month: str) -> int:
    if layer == "raw":
        return platform.sample_rows
    if layer == "quarantine":
        return platform.parquet("quarantine", "green", month).rows
    return platform.parquet("cleaned", "green", month).rows


def rows_of(loaded: Any) -> int:
    return loaded.num_rows if isinstance(loaded, pa.Table) else len(loaded)


def columns_of(loaded: Any) -> list[str]:
    return list(loaded.column_names if isinstance(loaded, pa.Table) else loaded.columns)
