"""One month, the whole chain, in one process: what is where afterwards, and what the UI can show of it."""

import base64
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_platform.core.month import Month
from taxi_platform_tests.assets.platform import ALL_PASS, CHECKS, Platform, checks_of, failure_of, metadata_of
from taxi_platform_tests.core.warehouse.months import rows_in

MONTH = "2021-01"
FIRST_LAYERS = ("raw", "cleaned", "quarantine", "lake")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path / "data")


@pytest.mark.parametrize("dataset", ["yellow", "green", "fhv", "fhvhv"])
def test_a_month_goes_from_source_to_table_and_every_row_is_accounted_for(tmp_path: Path, dataset: str) -> None:
    platform = Platform(tmp_path / "data", sample_rows=20_000)  # some of these are garbled in every dataset
    result = platform.run(f"{dataset}_trips_job", MONTH)

    assert checks_of(result) == ALL_PASS
    edition = metadata_of(result, "raw", f"{dataset}_trips")["SHA-256"]
    assert platform.files() == sorted(
        [
            f"raw/{dataset}/{MONTH}/{dataset}_tripdata_{MONTH}.csv.gz",
            f"raw/{dataset}/{MONTH}/provenance.json",
            f"cleaned/{dataset}/{MONTH}.parquet",
            f"quarantine/{dataset}/{MONTH}.parquet",
            f"lake/_raw/{dataset}/{MONTH}/{edition}/{dataset}_tripdata_{MONTH}.csv.gz",
            f"lake/_raw/{dataset}/{MONTH}/{edition}/provenance.json",
            f"lake/_raw/{dataset}/{MONTH}/choice.json",
            f"lake/_quarantine/{dataset}/{MONTH}.parquet",
            f"lake/{dataset}_trips/source_month={MONTH}/{dataset}_tripdata_{MONTH}.parquet",
            "warehouse.duckdb",
        ]
    )
    cleaned, quarantine = (platform.parquet(layer, dataset, MONTH) for layer in ("cleaned", "quarantine"))
    assert cleaned.rows + quarantine.rows == platform.sample_rows
    assert quarantine.rows > 0
    assert platform.in_lake(dataset, MONTH).sha256 == cleaned.sha256
    assert platform.table(dataset, MONTH).num_rows == cleaned.rows
    counted = f"SELECT source_month::VARCHAR, count(*) FROM taxi.{dataset}_trips GROUP BY ALL"
    assert platform.sql(counted) == [(f"{MONTH}-01", cleaned.rows)]


def test_a_second_run_changes_nothing(platform: Platform) -> None:
    def state() -> tuple[Any, ...]:
        hashes = [platform.parquet(layer, "green", MONTH).sha256 for layer in ("cleaned", "quarantine")]
        return platform.files(), hashes, rows_in(platform.table("green", MONTH))

    first = platform.run("green_trips_job", MONTH)
    after_first = state()
    second = platform.run("green_trips_job", MONTH)

    assert metadata_of(first, "raw", "green_trips")["fetched anew"] is True
    assert metadata_of(second, "raw", "green_trips")["fetched anew"] is False
    assert state() == after_first
    for layer in (*FIRST_LAYERS, "warehouse"):
        rows = [metadata_of(it, layer, "green_trips")["dagster/partition_row_count"] for it in (first, second)]
        assert rows[0] == rows[1], layer


def test_months_and_datasets_do_not_touch_each_other(platform: Platform) -> None:
    platform.run("green_trips_job", MONTH)
    january = rows_in(platform.table("green", MONTH))
    platform.run("yellow_trips_job", MONTH)
    platform.run("green_trips_job", "2021-02")
    assert rows_in(platform.table("green", MONTH)) == january
    assert platform.table("green", MONTH, "2021-02").num_rows > len(january)


def test_the_chain_can_be_run_in_two_halves(platform: Platform) -> None:
    result = platform.run("green_to_lake_job", MONTH)
    assert {it.asset_key.path[0] for it in result.get_asset_materialization_events() if it.asset_key} == {*FIRST_LAYERS}
    assert checks_of(result) == dict.fromkeys(CHECKS["raw"] | CHECKS["cleaned"] | CHECKS["lake"], True)
    assert platform.in_lake("green", MONTH).rows
    assert not (platform.data_dir / "warehouse.duckdb").exists()

    result = platform.run("green_to_warehouse_job", MONTH)
    assert [it.asset_key for it in result.get_asset_materialization_events()] == [
        dg.AssetKey(["warehouse", "green_trips"])
    ]
    assert checks_of(result) == {"table_matches_lake": True, "zone_view_matches_table": True}
    assert platform.table("green", MONTH).num_rows == platform.in_lake("green", MONTH).rows


def test_a_month_the_lake_does_not_hold_cannot_be_loaded_into_the_table(platform: Platform) -> None:
    message = failure_of(platform.run("green_to_warehouse_job", MONTH, succeeds=False))
    assert "the lake does not hold this month" in message
    assert "-j green_to_lake_job" in message


def test_the_raw_file_shows_what_was_published_and_what_arrived(platform: Platform) -> None:
    shown = metadata_of(platform.run("green_to_lake_job", MONTH), "raw", "green_trips")
    file = platform.raw_folder("green", MONTH) / f"green_tripdata_{MONTH}.csv.gz"
    assert shown["dagster/partition_row_count"] == platform.sample_rows
    assert shown["source URL"] == f"sample://{file.name}"
    assert shown["edition"] == "csv"
    assert shown["ETag"].endswith(f"-{platform.sample_rows}")
    assert shown["SHA-256"] == json.loads((file.parent / "provenance.json").read_text())["sha256"]
    assert shown["bytes"] == file.stat().st_size
    assert shown["path"] == str(file)
    assert shown["seconds"] > 0
    assert shown["fetched at"].startswith("20")


@pytest.mark.parametrize("layer", ["cleaned", "quarantine"])
def test_cleaning_shows_how_much_how_fast_and_what_it_looks_like(platform: Platform, layer: str) -> None:
    shown = metadata_of(platform.run("green_to_lake_job", MONTH), layer, "green_trips")
    file = platform.parquet(layer, "green", MONTH)
    assert shown["dagster/partition_row_count"] == file.rows
    assert shown["rows in"] == platform.sample_rows
    assert shown["bytes"] == file.bytes
    assert shown["seconds"] > 0
    assert shown["rows per second"] > 0
    assert shown["path"] == str(file.path)
    assert shown["dagster/uri"] == file.path.as_uri()
    assert shown["columns the contract does not know"] == "none"
    assert shown["contract version"] == platform.catalog.trips["green"].version
    records = shown_preview(platform.run("green_to_lake_job", MONTH), layer)
    assert len(records) == min(10, file.rows)
    assert "pickup_datetime" in records[0]


def test_the_rules_are_shown_as_a_table_and_as_a_picture(platform: Platform) -> None:
    shown = metadata_of(platform.run("green_to_lake_job", MONTH), "cleaned", "green_trips")
    rules = platform.catalog.trips["green"].rules

    lines = shown["rules"].splitlines()
    assert len(lines) == 2 + len(rules)
    for rule, line in zip(rules, lines[2:], strict=True):
        assert line.startswith(f"| `{rule.name}` | {rule.action} |")
    rejected = sum(int(line.split("|")[3].replace(",", "")) for line in lines[2:])
    assert rejected >= platform.parquet("quarantine", "green", MONTH).rows  # a row may break several

    prefix = "![rows by rule](data:image/svg+xml;base64,"
    assert shown["rows by rule"].startswith(prefix)
    svg = ET.fromstring(base64.b64decode(shown["rows by rule"].removeprefix(prefix).removesuffix(")")))
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "zero_passengers" in texts
    assert {"rejected", "kept"} <= set(texts)


def test_a_month_without_a_single_row_goes_all_the_way_if_the_run_says_that_it_is_meant(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    header = ",".join(Platform(tmp_path).catalog.trips["green"].layout_of(Month.parse(MONTH), "csv").header)
    (source / f"green_tripdata_{MONTH}.csv").write_text(header + "\n")
    platform = Platform(tmp_path / "data", source=str(source))
    meant = {"ops": {"clean_green_trips": {"config": {"fewer_rows_are_meant": True}}}}
    result = platform.run("green_trips_job", MONTH, config=meant)
    assert checks_of(result) == ALL_PASS
    assert platform.table("green", MONTH).num_rows == 0
    assert metadata_of(result, "cleaned", "green_trips")["rows by rule"] == "No rule fired."


def test_the_lake_and_the_table_show_where_they_are(platform: Platform) -> None:
    result = platform.run("green_trips_job", MONTH)
    stored = platform.in_lake("green", MONTH)
    lake = metadata_of(result, "lake", "green_trips")
    assert lake["dagster/uri"] == str(stored.path)
    assert lake["sha256"] == stored.sha256
    assert (lake["bytes"], lake["dagster/partition_row_count"]) == (stored.bytes, stored.rows)
    assert lake["seconds"] >= 0

    table = metadata_of(result, "warehouse", "green_trips")
    assert table["dagster/table_name"] == "taxi.green_trips"
    assert table["dagster/partition_row_count"] == stored.rows
    assert table["source URL"] == f"sample://green_tripdata_{MONTH}.csv.gz"
    assert table["edition"] == "csv"
    assert table["rows per second"] > 0
    assert len(shown_preview(result, "warehouse")) == 10


def test_the_schemas_shown_are_those_of_the_files_and_the_table(platform: Platform) -> None:
    platform.run("green_trips_job", MONTH)
    graph = platform.defs.resolve_asset_graph()
    for layer, names in {
        "cleaned": platform.load("cleaned", "green", MONTH).columns[1:],
        "quarantine": platform.load("quarantine", "green", MONTH).columns[1:],
        "lake": platform.load("lake", "green", MONTH).columns[1:],
        "warehouse": platform.table("green", MONTH).column_names,
    }.items():
        schema = graph.get(dg.AssetKey([layer, "green_trips"])).metadata["dagster/column_schema"]
        assert [column.name for column in schema.columns] == list(names), layer


def test_a_run_ends_with_one_line_that_says_how_it_went(platform: Platform, capfd: pytest.CaptureFixture[str]) -> None:
    platform.run("green_trips_job", MONTH)
    cleaned = platform.parquet("cleaned", "green", MONTH).rows
    said = capfd.readouterr().err
    assert (
        f"green {MONTH}: 2,000 rows in = {cleaned:,} cleaned + {2_000 - cleaned:,} quarantined; "
        f"{cleaned:,} rows in taxi.green_trips" in said
    )


def test_the_data_folder_may_have_any_name(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "it's my #1 data (Zürich 🚕)", sample_rows=200)
    platform.run("green_trips_job", MONTH)
    assert platform.table("green", MONTH).num_rows == platform.in_lake("green", MONTH).rows > 0
    assert {it.name for it in tmp_path.iterdir()} - {".dagster"} == {platform.data_dir.name}


def shown_preview(result: dg.ExecuteInProcessResult, layer: str) -> list[dict[str, Any]]:
    (event,) = [
        it for it in result.get_asset_materialization_events() if it.asset_key == dg.AssetKey([layer, "green_trips"])
    ]
    preview = event.materialization.metadata["preview"]
    assert isinstance(preview, dg.TableMetadataValue)
    return [dict(record.data) for record in preview.records]
