"""The marts against what pandas makes of the same trips, in every warehouse."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import dagster as dg
import pandas as pd
import pytest

from taxi_platform.assets.marts import differences
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import ContractError, WarehouseError
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse import Warehouse, open_warehouse
from taxi_platform.marts import Mart, load_marts
from taxi_platform.marts.query import column_sources, query_of, select_of
from taxi_platform.report.picture import picture_of
from taxi_platform_tests.assets.platform import Platform
from taxi_platform_tests.core.warehouse.test_warehouses import WAREHOUSES

MONTH = Month.parse("2020-10")
CATALOG = load_catalog()
MARTS = {it.name: it for it in load_marts()}
ROWS = 600
NUMBERS = ("_amount", "_fee", "_fund", "_tax", "_distance", "_fare", "_surcharge", "_pay", "_id", "_type")
#: What is charged for a trip whose total nobody publishes.
PARTS = ["base_passenger_fare", "tolls_amount", "black_car_fund", "sales_tax", "congestion_surcharge", "airport_fee"]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A month of every dataset, and the zones."""
    platform = Platform(tmp_path_factory.mktemp("marts") / "data", sample_rows=ROWS)
    platform.run("taxi_zones_job")
    for dataset in CATALOG.trips:
        platform.run(f"{dataset}_trips_job", str(MONTH))
    return platform


@pytest.fixture
def trips(platform: Platform) -> pd.DataFrame:
    """All of them, as pandas has them."""
    parts = [platform.table(it, str(MONTH)).to_pandas().assign(dataset=it) for it in CATALOG.trips]
    names = sorted({name for part in parts for name in part.columns})
    found = pd.concat([part.reindex(columns=names).astype(object) for part in parts], ignore_index=True)
    for name in ("pickup_datetime", "dropoff_datetime"):
        found[name] = pd.to_datetime(found[name])
    for name in names:
        if name.endswith(NUMBERS):
            found[name] = pd.to_numeric(found[name])
    return found


@pytest.fixture(params=WAREHOUSES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, platform: Platform) -> Warehouse:
    """A store that has what the platform's own has."""
    store = open_warehouse(request.param(request, tmp_path).url, CATALOG.zones)
    store.replace_reference(CATALOG.zones, open_warehouse(duckdb_of(platform)).read_reference(CATALOG.zones))
    for dataset, contract in CATALOG.trips.items():
        store.replace_month(contract, MONTH, platform.parquet("cleaned", dataset, str(MONTH)))
    return store


def duckdb_of(platform: Platform) -> str:
    return f"duckdb:///{platform.data_dir / 'warehouse.duckdb'}"


def daily_zone_trips(trips: pd.DataFrame) -> pd.DataFrame:
    trips = trips.assign(
        pickup_date=trips.pickup_datetime.dt.date,
        minutes=(trips.dropoff_datetime - trips.pickup_datetime).dt.total_seconds() / 60,
        fares=trips.fare_amount.fillna(trips.base_passenger_fare),
        revenue=trips.total_amount.fillna(
            trips[[*PARTS, "tip_amount", "cbd_congestion_fee"]].sum(axis=1).where(trips.base_passenger_fare.notna())
        ),
    )
    return summed(
        trips,
        ["pickup_date", "pickup_location_id"],
        distance="trip_distance",
        minutes="minutes",
        fares="fares",
        tips="tip_amount",
        tolls="tolls_amount",
        revenue="revenue",
    )


def hourly_trips(trips: pd.DataFrame) -> pd.DataFrame:
    trips = trips.assign(
        weekday=trips.pickup_datetime.dt.weekday,
        hour=trips.pickup_datetime.dt.hour,
        minutes=(trips.dropoff_datetime - trips.pickup_datetime).dt.total_seconds() / 60,
    )
    return summed(trips, ["weekday", "hour"], distance="trip_distance", minutes="minutes")


def borough_flows(trips: pd.DataFrame, platform: Platform) -> pd.DataFrame:
    zones = open_warehouse(duckdb_of(platform)).read_reference(CATALOG.zones).to_pandas()
    borough = zones.set_index("location_id").borough
    ends = {f"{it}_borough": trips[f"{it}_location_id"].map(borough).fillna("Unknown") for it in ("pickup", "dropoff")}
    return summed(trips.assign(**ends), [*ends], distance="trip_distance")


def payment_mix(trips: pd.DataFrame) -> pd.DataFrame:
    ours = trips[trips.dataset.isin(["yellow", "green"])]
    return summed(ours, ["payment_type"], fares="fare_amount", tips="tip_amount", revenue="total_amount")


def month_quality(trips: pd.DataFrame) -> pd.DataFrame:
    is_of_month = trips.pickup_datetime.dt.to_period("M") == pd.Period(str(MONTH))
    trips = trips.assign(
        days=trips.pickup_datetime.dt.date.where(is_of_month),
        outside_month=~is_of_month,
        without_pickup_zone=trips.pickup_location_id.fillna(265).isin([264, 265]),
        without_dropoff_zone=trips.dropoff_location_id.fillna(265).isin([264, 265]),
        without_distance=trips.trip_distance.fillna(0) == 0,
    )
    counted = {name: (name, "sum") for name in ("outside_month", "without_pickup_zone", "without_dropoff_zone")}
    return trips.groupby("dataset", as_index=False).agg(
        trips=("source_month", "size"),
        days=("days", "nunique"),
        **counted,
        without_distance=("without_distance", "sum"),
        revenue=("total_amount", lambda it: it.sum(min_count=1)),
    )


def summed(trips: pd.DataFrame, by: list[str], **columns: str) -> pd.DataFrame:
    groups = trips.groupby(["dataset", *by], dropna=False)
    sums = {name: groups[column].sum(min_count=1) for name, column in columns.items()}
    return pd.DataFrame({"trips": groups.size(), **sums}).reset_index()


@pytest.mark.parametrize("name", [*MARTS])
def test_a_mart_is_what_pandas_makes_of_the_same_trips(
    warehouse: Warehouse, trips: pd.DataFrame, platform: Platform, name: str
) -> None:
    mart = MARTS[name]
    written = warehouse.compute_month(mart, MONTH, query_of(mart, CATALOG, warehouse, MONTH))

    found = pd.DataFrame(warehouse.ask(f"SELECT * FROM {warehouse.table_name(mart)}", name))
    assert len(found) == written
    assert set(found.pop("source_month").map(str)) == {str(MONTH.first_day)}
    make: Callable[..., pd.DataFrame] = globals()[name]
    wanted = make(trips, platform) if name == "borough_flows" else make(trips)
    keys = [it for it in mart.grain if it != "source_month"]
    pd.testing.assert_frame_equal(in_order(found, keys)[wanted.columns], in_order(wanted, keys), check_dtype=False)
    assert differences(mart, CATALOG, warehouse, MONTH) == []


def in_order(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    texts = ("dataset", "pickup_date", "pickup_borough", "dropoff_borough")
    plain = rows.apply(lambda it: it.map(str) if it.name in texts else pd.to_numeric(it).astype(float))
    return plain.sort_values(keys, na_position="first").reset_index(drop=True)


def test_a_month_is_replaced_whole_and_others_stay(warehouse: Warehouse) -> None:
    mart = MARTS["hourly_trips"]
    query = query_of(mart, CATALOG, warehouse, MONTH)
    first = warehouse.compute_month(mart, MONTH, query)
    other = query_of(mart, CATALOG, warehouse, MONTH.next)

    assert warehouse.compute_month(mart, MONTH.next, other) == 0, "nothing is loaded of it"
    assert warehouse.compute_month(mart, MONTH, query) == first
    (counted,) = warehouse.ask(f"SELECT count(*) AS rows_there FROM {warehouse.table_name(mart)}", "marts")
    assert counted == {"rows_there": first}


# The stand-in of BigQuery has no words for a query it does not understand, and Google's client asks it for minutes.
@pytest.mark.parametrize("warehouse", WAREHOUSES[:2], indirect=True)
def test_a_query_that_cannot_be_answered_leaves_the_mart_as_it_was(warehouse: Warehouse) -> None:
    mart = MARTS["payment_mix"]
    rows = warehouse.compute_month(mart, MONTH, query_of(mart, CATALOG, warehouse, MONTH))
    with pytest.raises(WarehouseError):
        warehouse.compute_month(mart, MONTH, "SELECT 1 AS nothing_of_the_kind")
    (counted,) = warehouse.ask(f"SELECT count(*) AS rows_there FROM {warehouse.table_name(mart)}", "marts")
    assert counted == {"rows_there": rows}


def test_a_mart_that_lost_trips_is_told_by_dataset_with_both_figures(platform: Platform) -> None:
    warehouse, mart = open_warehouse(duckdb_of(platform), CATALOG.zones), MARTS["hourly_trips"]
    warehouse.compute_month(mart, MONTH, query_of(mart, CATALOG, warehouse, MONTH))
    ((there,),) = platform.sql("SELECT sum(trips) FROM taxi.hourly_trips WHERE dataset = 'green'")
    platform.sql("UPDATE taxi.hourly_trips SET trips = trips + 7 WHERE dataset = 'green' AND hour = 0 AND weekday = 0")
    platform.sql("DELETE FROM taxi.hourly_trips WHERE dataset = 'fhv'")

    told = differences(mart, CATALOG, warehouse, MONTH)
    assert f"green: trips is {there + 7} in the mart and {there} in the table" in told
    assert any(it.startswith("fhv: trips is None in the mart and ") for it in told)


def test_one_run_works_out_many_months_and_says_where_each_column_comes_from(platform: Platform) -> None:
    job, key = platform.defs.resolve_job_def("marts_job"), dg.AssetKey(["marts", "borough_flows"])
    tags = {"dagster/asset_partition_range_start": "2020-09", "dagster/asset_partition_range_end": str(MONTH)}
    result = job.execute_in_process(instance=platform.instance, tags=tags)

    assert result.success
    made = [it.materialization for it in result.get_asset_materialization_events() if it.asset_key == key]
    assert [it.partition for it in made] == ["2020-09", str(MONTH)]
    lineage = made[0].metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    deps = lineage.deps_by_column["pickup_borough"]
    assert {(it.asset_key.to_user_string(), it.column_name) for it in deps} == {("reference/taxi_zones", "borough")}
    assert {it.check_name: it.passed for it in result.get_asset_check_evaluations()} == {"mart_adds_up": True}


@pytest.mark.parametrize("name", [*MARTS])
def test_a_marts_header_tells_of_what_its_query_gives(name: str) -> None:
    mart = MARTS[name]
    assert select_of(mart).named_selects == [it.name for it in mart.columns]
    assert all(it.description.endswith(".") for it in mart.columns)
    sources = column_sources(mart, CATALOG)
    assert sources["source_month"], "each month comes from the tables"
    assert [*sources] == [it.name for it in mart.columns]


def test_adding_a_mart_is_adding_a_file(tmp_path: Path, platform: Platform) -> None:
    (tmp_path / "long_trips.sql").write_text(
        """-- title: Long trips
-- description: How many trips went further than two miles.
-- grain: [dataset, source_month]
-- needs: [trip_distance]
-- columns:
--   - {name: dataset, type: string, description: The dataset.}
--   - {name: source_month, type: date, description: The month.}
--   - {name: trips, type: int64, description: How many.}
-- conserved: {}
SELECT dataset, source_month, count(*) AS trips FROM trips WHERE trip_distance > 2 GROUP BY dataset, source_month
"""
    )
    (mart,) = load_marts(tmp_path)
    warehouse = open_warehouse(duckdb_of(platform), CATALOG.zones)
    query = query_of(mart, CATALOG, warehouse, MONTH)
    assert warehouse.compute_month(mart, MONTH, query) == 2, "fhv has no distance, and fhvhv had none in that year"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("count(*) AS trips", "count(*) AS rides"), "its header tells of"),
        (("SELECT", "DELETE"), "not a valid mart"),
        (("-- grain: [dataset", "-- grain: [borough"), "there is no column borough"),
        (("-- title: ", "-- titel: "), "not a valid mart"),
    ],
)
def test_a_file_that_is_no_mart_is_refused_by_name(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    text = (Path(__file__).parents[2] / "taxi_platform" / "marts" / "hourly_trips.sql").read_text()
    (tmp_path / "broken.sql").write_text(text.replace(*change))
    with pytest.raises(ContractError, match=told) as raised:
        [select_of(mart) for mart in load_marts(tmp_path)]
    assert "broken" in str(raised.value)


@pytest.mark.parametrize("mart", MARTS.values(), ids=MARTS)
def test_a_mart_is_pictured_as_it_is_in_every_warehouse(mart: Mart, warehouse: Warehouse, trips: pd.DataFrame) -> None:
    warehouse.compute_month(mart, MONTH, query_of(mart, CATALOG, warehouse, MONTH))
    drawn = ElementTree.fromstring(svg_of(picture_of(mart, warehouse, MONTH)))
    told = " ".join(filter(None, drawn.itertext()))
    assert str(MONTH) in told
    bars = [it for it in drawn.iter() if it.get("aria-roledescription") == "bar"]
    assert len({it.get("aria-label") for it in bars}) > 0
    shown = sum(int(re.findall(r"Trips: ([\d,]+)", it.get("aria-label", ""))[0].replace(",", "")) for it in bars)
    there = trips[trips["dataset"].isin(datasets_of(mart))]
    assert shown == len(there) if "left out" not in told else 0 < shown < len(there)


def test_a_month_of_a_mart_without_trips_is_told_in_a_word(warehouse: Warehouse) -> None:
    mart, empty = MARTS["hourly_trips"], Month.parse("2020-11")
    warehouse.compute_month(mart, empty, query_of(mart, CATALOG, warehouse, empty))
    assert picture_of(mart, warehouse, empty) == "There are no trips."


def svg_of(markdown: str) -> bytes:
    return base64.b64decode(markdown.rpartition("base64,")[2].removesuffix(")"))


def datasets_of(mart: Mart) -> list[str]:
    return [name for name, it in CATALOG.trips.items() if {*mart.needs} <= {column.name for column in it.columns}]
