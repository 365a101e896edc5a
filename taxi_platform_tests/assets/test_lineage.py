"""Where each column of each layer comes from, as the UI shows it: down to the name it was published under."""

from itertools import pairwise
from typing import Any

import dagster as dg
import pytest

from taxi_platform_tests.assets.platform import Platform, metadata_of

LAYERS = ["cleaned", "lake", "warehouse"]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    return Platform(tmp_path_factory.mktemp("platform") / "data", sample_rows=100)


def lineage_of(result: dg.ExecuteInProcessResult, layer: str, dataset: str) -> dict[str, list[tuple[str, str]]]:
    """Column -> the assets and columns it comes from."""
    shown: Any = metadata_of(result, layer, f"{dataset}_trips")["dagster/column_lineage"]
    return {
        name: [(it.asset_key.to_user_string(), it.column_name) for it in deps]
        for name, deps in shown.deps_by_column.items()
    }


@pytest.mark.parametrize(
    ("dataset", "month", "published"),
    [
        (
            "yellow",
            "2009-01",
            {
                "pickup_datetime": ["Trip_Pickup_DateTime"],
                "extra": ["surcharge"],
                "vendor_id": ["vendor_name"],
                "vendor_text": ["vendor_name"],
                "payment_type": ["Payment_Type"],
                "payment_text": ["Payment_Type"],
                "pickup_location_id": [],
                "cbd_congestion_fee": [],
            },
        ),
        ("yellow", "2014-05", {"pickup_datetime": [" pickup_datetime"], "total_amount": [" total_amount"]}),
        ("yellow", "2019-05", {"pickup_datetime": ["tpep_pickup_datetime"], "pickup_location_id": ["PULocationID"]}),
        ("green", "2013-08", {"trip_type": ["Trip_type "], "rate_code_id": ["RateCodeID"], "extra_columns": []}),
        ("fhv", "2015-01", {"pickup_datetime": ["Pickup_date"], "pickup_location_id": ["locationID"]}),
        ("fhv", "2018-01", {"dispatching_base_num": ["Dispatching_base_number", "Dispatching_base_num"]}),
        ("fhvhv", "2019-02", {"hvfhs_license_num": ["hvfhs_license_num"], "trip_distance": []}),
    ],
)
def test_a_cleaned_column_comes_from_the_names_of_its_era(
    platform: Platform, dataset: str, month: str, published: dict[str, list[str]]
) -> None:
    result = platform.run(f"{dataset}_to_lake_job", month)
    lineage = lineage_of(result, "cleaned", dataset)
    contract = platform.catalog.trips[dataset]
    assert list(lineage) == [column.name for column in contract.stored_columns]
    for name, names in published.items():
        assert sorted(lineage[name]) == sorted((f"raw/{dataset}_trips", it) for it in names), name
    header = {*contract.layout_of(contract.month(month), "csv").header}
    assert {name for deps in lineage.values() for _, name in deps} == header  # no published column is left out
    assert lineage_of(result, "quarantine", dataset) == lineage


@pytest.mark.parametrize("dataset", ["yellow", "green", "fhv", "fhvhv"])
def test_columns_keep_their_names_from_the_cleaned_file_to_the_table(platform: Platform, dataset: str) -> None:
    result = platform.run(f"{dataset}_trips_job", "2021-01")
    names = [column.name for column in platform.catalog.trips[dataset].stored_columns]
    for before, layer in pairwise(LAYERS):
        assert lineage_of(result, layer, dataset) == {name: [(f"{before}/{dataset}_trips", name)] for name in names}


def test_every_column_of_a_lineage_is_in_the_schema_the_ui_shows(platform: Platform) -> None:
    result = platform.run("green_trips_job", "2021-01")
    graph = platform.defs.resolve_asset_graph()
    for layer in (*LAYERS, "quarantine"):
        schema = graph.get(dg.AssetKey([layer, "green_trips"])).metadata["dagster/column_schema"]
        assert set(lineage_of(result, layer, "green")) <= {column.name for column in schema.columns}, layer


def test_no_lineage_is_shown_of_a_file_as_published(platform: Platform) -> None:
    result = platform.run("green_to_lake_job", "2021-02")
    assert "dagster/column_lineage" not in metadata_of(result, "raw", "green_trips")
