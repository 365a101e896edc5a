"""Generated months: the same everywhere, as untidy as real ones, of any size in the same memory."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import duckdb
import pytest

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source import NotPublishedError
from taxi_platform.core.source.sample import write_month
from taxi_platform_tests.core.source.conftest import LOG, MONTH, Fetcher

HEADERS = {
    "yellow": "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,"
    "store_and_fwd_flag,PULocationID,DOLocationID,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
    "improvement_surcharge,total_amount,congestion_surcharge",
    "green": "VendorID,lpep_pickup_datetime,lpep_dropoff_datetime,store_and_fwd_flag,RatecodeID,PULocationID,"
    "DOLocationID,passenger_count,trip_distance,fare_amount,extra,mta_tax,tip_amount,tolls_amount,ehail_fee,"
    "improvement_surcharge,total_amount,payment_type,trip_type,congestion_surcharge",
}
JANUARY, FEBRUARY = Month(2021, 1), Month(2021, 2)


def generated(catalog: Catalog, folder: Path, dataset: str, month: Month, rows: int) -> bytes:
    path = folder / f"{dataset}-{month}-{rows}.csv.gz"
    write_month(catalog.trips[dataset], month, rows, path)
    return path.read_bytes()


def test_the_same_month_is_the_same_bytes(catalog: Catalog, tmp_path: Path) -> None:
    first = generated(catalog, tmp_path, "yellow", JANUARY, 30_000)
    (tmp_path / "elsewhere").mkdir()
    assert generated(catalog, tmp_path / "elsewhere", "yellow", JANUARY, 30_000) == first


def test_another_month_and_another_dataset_have_other_rows(catalog: Catalog, tmp_path: Path) -> None:
    def distances(dataset: str, month: Month) -> list[str]:
        text = gzip.decompress(generated(catalog, tmp_path, dataset, month, 1000)).decode()
        return [row["trip_distance"] for row in csv.DictReader(text.splitlines())]

    january = distances("yellow", JANUARY)
    assert distances("yellow", FEBRUARY) != january
    assert distances("green", JANUARY) != january


@pytest.mark.parametrize("rows", [1, 2, 20_000, 20_001])
def test_a_month_has_exactly_the_rows_asked_for(fetch: Fetcher, rows: int) -> None:
    raw = fetch("sample", sample_rows=rows).raw
    assert raw.rows == rows
    assert gzip.decompress(raw.path.read_bytes()).count(b"\r\n") == rows + 1


@pytest.mark.parametrize("dataset", HEADERS)
def test_a_month_looks_like_tlcs_file(catalog: Catalog, tmp_path: Path, dataset: str) -> None:
    text = gzip.decompress(generated(catalog, tmp_path, dataset, JANUARY, 100))
    assert text.startswith(HEADERS[dataset].encode() + b"\r\n")
    assert text.endswith(b"\r\n")
    assert text.count(b"\n") == text.count(b"\r\n") == 101
    assert {line.count(b",") for line in text.splitlines()} == {HEADERS[dataset].count(",")}


SHARES = {  # at least, at most
    "passenger_count IS NULL": {"yellow": (0.06, 0.08), "green": (0.40, 0.44)},
    "passenger_count = '0'": {"yellow": (0.016, 0.022), "green": (0.010, 0.014)},
    "try_cast(total_amount AS DOUBLE) < 0": {"yellow": (0.004, 0.006), "green": (0.004, 0.006)},
    "trip_distance::DOUBLE = 0": {"yellow": (0.028, 0.036), "green": (0.028, 0.036)},
    "pickup[:7] <> '2021-01'": {"yellow": (0.00002, 0.0003), "green": (0.00002, 0.0003)},
    "dropoff < pickup": {"yellow": (0.0001, 0.001), "green": (0.0001, 0.001)},
    "try_cast(fare_amount AS DOUBLE) IS NULL": {"yellow": (0.00005, 0.0005), "green": (0.00005, 0.0005)},
}


@pytest.mark.parametrize("dataset", HEADERS)
def test_a_month_is_as_untidy_as_a_real_one(catalog: Catalog, tmp_path: Path, dataset: str) -> None:
    path = tmp_path / "month.csv.gz"
    write_month(catalog.trips[dataset], JANUARY, 50_000, path)
    with duckdb.connect() as con:
        prefix = {"yellow": "tpep", "green": "lpep"}[dataset]
        con.execute(
            f"CREATE TABLE month AS SELECT *, {prefix}_pickup_datetime AS pickup, {prefix}_dropoff_datetime AS dropoff "
            f"FROM read_csv('{path}', header = true, all_varchar = true)"
        )
        for condition, expected in SHARES.items():
            [(share,)] = con.execute(f"SELECT count(*) FILTER ({condition}) / count(*) FROM month").fetchall()
            least, most = expected[dataset]
            assert least <= share <= most, condition

        [(duplicates,)] = con.execute("SELECT 50_000 - count(*) FROM (SELECT DISTINCT * FROM month)").fetchall()
        assert 25 <= duplicates <= 100  # 0.1 %

        # The nulls come as a block: a row has all of them or none.
        block = "VendorID" if dataset == "green" else "RatecodeID"
        [(torn,)] = con.execute(
            f"SELECT count(*) FROM month WHERE (passenger_count IS NULL) <> ({block} IS NULL)"
        ).fetchall()
        assert torn == 0


def test_a_generated_month_is_not_made_again(fetch: Fetcher) -> None:
    first = fetch("sample", sample_rows=100)
    second = fetch("sample", sample_rows=100)
    assert (first.changed, second.changed) == (True, False)
    assert second.raw == first.raw


def test_another_number_of_rows_is_another_version_of_the_month(fetch: Fetcher) -> None:
    fetch("sample", sample_rows=100)
    fetched = fetch("sample", sample_rows=101)
    assert fetched.changed
    assert fetched.raw.rows == 101


def test_a_generated_month_is_always_published_and_announced_as_it_is_recorded(fetch: Fetcher) -> None:
    found = fetch.source("sample").probe(fetch.contract, MONTH)
    assert found.url == "sample://green_tripdata_2020-04.csv.gz"
    assert found == fetch("sample").raw.publication


def test_the_generator_does_not_know_other_datasets(fetch: Fetcher) -> None:
    other = fetch.contract.model_copy(update={"dataset": "boats"})
    with pytest.raises(NotPublishedError):
        fetch.source("sample").fetch(other, MONTH, LOG)


def test_the_zone_lookup_that_is_shipped_has_every_zone(fetch: Fetcher) -> None:
    zones = fetch.catalog.zones
    source = fetch.source("sample")
    assert source.fetch_reference(zones, LOG).raw.rows == zones.rows == 265
    assert not source.fetch_reference(zones, LOG).changed
