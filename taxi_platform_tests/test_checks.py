"""The blocking checks fail when a promise is broken, and stop what would build on it."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform import checks
from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.core.catalog.model import Column, ColumnType, TripContract
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.lake import open_lake
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse.duckdb import DuckDBWarehouse
from taxi_platform.core.warehouse.zone_totals import ZoneTotals
from taxi_platform.io_managers.files import ParquetIOManager
from taxi_platform_tests.assets.months import tamper, with_column, without_last_row
from taxi_platform_tests.assets.platform import (
    ALL_PASS,
    CHECKS,
    Platform,
    check_of,
    checks_of,
    failure_of,
    figures_of,
    steps_of,
)
from taxi_platform_tests.core.warehouse.months import COLUMNS, JANUARY, contract_of, month_file

MONTH = "2021-01"
ROWS = 300
LAYER_OF = {name: layer for layer, checks in CHECKS.items() for name in checks}


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A month, the whole chain."""
    platform = Platform(tmp_path / "data", sample_rows=ROWS)
    assert checks_of(platform.run("green_trips_job", MONTH)) == ALL_PASS
    return platform


def check_alone(platform: Platform, name: str) -> dg.AssetCheckEvaluation:
    """Execute one check, without what it checks, as the UI's "Execute" does."""
    result = execute_alone(platform, name)
    assert list(checks_of(result)) == [name]
    return check_of(result, name)


def execute_alone(platform: Platform, name: str) -> dg.ExecuteInProcessResult:
    key = dg.AssetCheckKey(dg.AssetKey([LAYER_OF[name], "green_trips"]), name)
    everything = platform.defs.resolve_implicit_global_asset_job_def()
    alone = everything.get_subset(asset_selection=set(), asset_check_selection={key})
    return alone.execute_in_process(instance=platform.instance, tags={"dagster/partition": MONTH}, raise_on_error=False)


def go_on_after(platform: Platform, layer: str, *more: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    """Run what comes after a layer, without making the layer again; its checks come first."""
    layers = ["cleaned", "lake", "warehouse"]
    after = [[it, "green_trips"] for it in layers[layers.index(layer) + 1 :]]
    selection = dg.AssetSelection.checks_for_assets(dg.AssetKey([layer, "green_trips"]))
    if after:
        selection |= dg.AssetSelection.assets(*after)
    if more:
        selection |= dg.AssetSelection.assets(*more)
    job = dg.define_asset_job("rest_job", selection, executor_def=dg.in_process_executor)
    defs = dg.Definitions.merge(platform.defs, dg.Definitions(assets=more, jobs=[job]))
    return defs.resolve_job_def("rest_job").execute_in_process(
        instance=platform.instance, partition_key=MONTH, raise_on_error=False
    )


def only_here(platform: Platform) -> None:
    """Take the month out of the lake, from where a file that is no more what was made would be taken anew."""
    platform.in_lake("green", MONTH).path.unlink(missing_ok=True)


# Every check


@pytest.mark.parametrize("name", LAYER_OF)
def test_every_check_can_be_executed_alone(platform_to_read: Platform, name: str) -> None:
    assert check_alone(platform_to_read, name).passed


@pytest.fixture(scope="module")
def platform_to_read(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    platform = Platform(tmp_path_factory.mktemp("platform") / "data", sample_rows=ROWS)
    platform.run("green_trips_job", MONTH)
    return platform


def test_what_a_check_found_comes_with_its_figures_and_its_words(platform_to_read: Platform) -> None:
    cleaned = platform_to_read.parquet("cleaned", "green", MONTH)
    turned_away = ROWS - cleaned.rows
    contract = platform_to_read.catalog.trips["green"]

    conserved = check_alone(platform_to_read, "rows_are_conserved")
    assert conserved.description == f"{ROWS} rows in, {cleaned.rows} cleaned, {turned_away} quarantined"
    assert figures_of(conserved) == {
        "rows in the source file": ROWS,
        "rows cleaned": cleaned.rows,
        "rows quarantined": turned_away,
        "rows unaccounted for": 0,
    }
    assert figures_of(check_alone(platform_to_read, "schema_matches_contract")) == {
        "columns": len(contract.stored_columns),
        "contract version": contract.version,
    }
    assert figures_of(check_alone(platform_to_read, "required_values_present")) == {"pickup_datetime missing": 0}
    assert figures_of(check_alone(platform_to_read, "lake_matches_cleaned")) == {
        "SHA-256 of the cleaned file": cleaned.sha256,
        "SHA-256 of the lake's object": cleaned.sha256,
    }
    assert figures_of(check_alone(platform_to_read, "table_matches_lake")) == {
        "rows in the table": cleaned.rows,
        "rows in the lake": cleaned.rows,
        "fingerprint of the table": cleaned.lineage.fingerprint,
        "fingerprint of the lake's object": cleaned.lineage.fingerprint,
    }


def test_a_check_leaves_nothing_behind_in_the_data_folder(platform_to_read: Platform) -> None:
    before = platform_to_read.files()
    for name in LAYER_OF:
        check_alone(platform_to_read, name)
    assert platform_to_read.files() == before


# Rows are conserved


class LosesARow(ParquetIOManager):
    """A disk on which the quarantine loses a row."""

    def handle_output(self, context: dg.OutputContext, obj: ParquetFile) -> None:
        if context.asset_key.path[0] == "quarantine":
            tamper(obj.path, without_last_row)
        super().handle_output(context, ParquetFile(obj.path))


def test_a_row_lost_between_raw_and_cleaned_stops_the_run_before_the_lake(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data", sample_rows=ROWS)
    lake = open_lake(str(platform.data_dir / "lake"), tmp_path)
    lossy = dg.Definitions(
        assets=platform.defs.assets,
        asset_checks=platform.defs.asset_checks,
        jobs=platform.defs.jobs,
        resources={
            **(platform.defs.resources or {}),
            "parquet_io_manager": LosesARow(platform.data_dir, platform.catalog, lake),
        },
    )
    result = platform.run("green_trips_job", MONTH, defs=lossy, succeeds=False)

    # The others are told too: whoever looks into it sees the whole picture.
    assert checks_of(result) == dict.fromkeys(CHECKS["raw"] | CHECKS["cleaned"], True) | {"rows_are_conserved": False}
    made = {event.asset_key.path[0] for event in result.get_asset_materialization_events() if event.asset_key}
    assert made == {"raw", "cleaned", "quarantine"}
    assert steps_of(result) == ["raw__green_trips", "clean_green_trips", "check_cleaned_green_trips"]
    assert not platform.in_lake("green", MONTH).path.exists()
    assert not (platform.data_dir / "warehouse.duckdb").exists()


@pytest.mark.parametrize("layer", ["cleaned", "quarantine"])
def test_a_row_lost_after_the_run_is_found_by_the_check_alone(platform: Platform, layer: str) -> None:
    tamper(platform.parquet(layer, "green", MONTH).path, without_last_row)
    only_here(platform)

    found = check_alone(platform, "rows_are_conserved")

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.metadata["rows unaccounted for"].value == 1
    assert found.metadata["rows in the source file"].value == ROWS


def test_files_made_from_another_raw_file_are_found_even_if_the_counts_agree(platform: Platform) -> None:
    path = platform.parquet("quarantine", "green", MONTH).path
    table = pq.read_table(path)
    told = table.schema.metadata[b"taxi_platform"]
    sha256 = platform.parquet("cleaned", "green", MONTH).lineage.source_sha256.encode()
    pq.write_table(table.replace_schema_metadata({b"taxi_platform": told.replace(sha256, b"0" * 64)}), path)

    found = check_alone(platform, "rows_are_conserved")

    assert not found.passed
    assert "not all were made by one cleaning of the raw file that is here now" in str(found.description)
    assert found.metadata["rows unaccounted for"].value == 0


def test_a_file_that_does_not_say_where_its_rows_came_from_is_a_clear_failure(platform: Platform) -> None:
    path = platform.parquet("quarantine", "green", MONTH).path
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    message = failure_of(execute_alone(platform, "rows_are_conserved"))
    assert message.startswith("green: this Parquet file does not say where its rows came from")


# The cleaned file is what the contract says


def test_a_file_with_other_columns_fails_by_name_and_stops_the_run_before_the_lake(platform: Platform) -> None:
    def change(table: pa.Table) -> pa.Table:
        retyped = with_column(table, "vendor_id", table["vendor_id"].cast(pa.string()))
        return retyped.drop_columns(["trip_type"]).append_column("surge", pa.nulls(table.num_rows, pa.float64()))

    tamper(platform.parquet("cleaned", "green", MONTH).path, change)
    only_here(platform)

    result = go_on_after(platform, "cleaned")

    found = check_of(result, "schema_matches_contract")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert set(str(found.description).split("; ")) == {
        "vendor_id: string instead of int32",
        "trip_type: nothing instead of int32",
        "surge: double instead of nothing",
    }
    assert figures_of(found)["columns"] == len(platform.catalog.trips["green"].stored_columns)
    assert steps_of(result) == ["check_cleaned_green_trips"]
    assert not platform.in_lake("green", MONTH).path.exists()


def test_what_is_asked_of_the_rows_is_not_judged_by_a_file_with_other_columns(platform: Platform) -> None:
    tamper(
        platform.parquet("cleaned", "green", MONTH).path,
        lambda table: table.drop_columns(["pickup_datetime", "extra_columns"]),
    )
    only_here(platform)
    result = go_on_after(platform, "cleaned")
    of_rows = {"required_values_present", "known_columns_only", "known_codes_only", "pickups_inside_month"}
    failed = {name for name, passed in checks_of(result).items() if not passed}
    assert failed == {"schema_matches_contract", *of_rows}
    for name in of_rows:
        assert str(check_of(result, name).description).startswith("not judged: pickup_datetime: nothing instead of")


def test_a_month_cleaned_before_the_contract_gained_a_column_says_so_until_it_is_cleaned_again(
    platform: Platform,
) -> None:
    learned = Platform(platform.data_dir, sample_rows=ROWS, catalog=with_one_more_column())

    found = check_alone(learned, "schema_matches_contract")
    assert not found.passed
    assert found.description == "surge: nothing instead of double"

    assert checks_of(learned.run("green_trips_job", MONTH)) == ALL_PASS


def test_a_month_that_came_to_the_lake_before_the_contract_gained_a_column_still_loads_and_matches(
    platform: Platform,
) -> None:
    learned = Platform(platform.data_dir, sample_rows=ROWS, catalog=with_one_more_column())

    result = learned.run("green_to_warehouse_job", MONTH)

    assert checks_of(result) == {"table_matches_lake": True, "zone_view_matches_table": True}
    rows = learned.in_lake("green", MONTH).rows
    for table in ("taxi.green_trips", "taxi.green_trips_with_zones"):
        assert learned.sql(f"SELECT count(*), count(surge) FROM {table}") == [(rows, 0)]


def with_one_more_column() -> Catalog:
    catalog = load_catalog()
    green = catalog.trips["green"]
    more = Column(name="surge", type=ColumnType.FLOAT64, description="A column to come.")
    learned = green.model_copy(update={"columns": (*green.columns, more)})
    return Catalog({**catalog.trips, "green": learned}, catalog.zones)


def test_columns_in_another_order_do_not_match(platform: Platform) -> None:
    tamper(
        platform.parquet("cleaned", "green", MONTH).path,
        lambda table: table.select(table.column_names[::-1]),
    )
    only_here(platform)
    found = check_alone(platform, "schema_matches_contract")
    assert not found.passed
    assert found.description == "the columns are in another order"


# Required values


def test_a_row_without_a_value_it_means_nothing_without_stops_the_run_before_the_lake(platform: Platform) -> None:
    def forget_two_pickups(table: pa.Table) -> pa.Table:
        pickups = table["pickup_datetime"].to_pylist()
        return with_column(table, "pickup_datetime", pa.array([None, None, *pickups[2:]], pa.timestamp("us")))

    tamper(platform.parquet("cleaned", "green", MONTH).path, forget_two_pickups)
    only_here(platform)

    result = go_on_after(platform, "cleaned")

    found = check_of(result, "required_values_present")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.description == "pickup_datetime is null in 2 rows"
    assert figures_of(found) == {"pickup_datetime missing": 2}
    assert steps_of(result) == ["check_cleaned_green_trips"]
    assert checks_of(result) == dict.fromkeys(CHECKS["cleaned"], True) | {"required_values_present": False}


def test_required_values_are_missed_even_where_a_run_lets_such_rows_pass(platform: Platform) -> None:
    # The rules may be set to keep rows without a pickup; the table may still not have them.
    source = platform.data_dir.parent / "source"
    source.mkdir()
    names = platform.catalog.trips["green"].layout_of(platform.catalog.trips["green"].month(MONTH), "csv").header
    (source / f"green_tripdata_{MONTH}.csv").write_text(f"{','.join(names)}\n2{',' * (len(names) - 1)}\n")
    other = Platform(platform.data_dir, source=str(source))
    rules = {"missing_pickup": "warn"}

    result = other.run(
        "green_trips_job", MONTH, config={"ops": {"clean_green_trips": {"config": {"rules": rules}}}}, succeeds=False
    )

    assert check_of(result, "required_values_present").description == "pickup_datetime is null in 1 rows"
    assert "lake__green_trips" not in steps_of(result)


# The lake


def test_an_object_that_is_not_the_cleaned_file_stops_the_run_before_the_table(platform: Platform) -> None:
    in_table = platform.table("green", MONTH).num_rows
    tamper(platform.in_lake("green", MONTH).path, without_last_row)

    result = go_on_after(platform, "lake")

    found = check_of(result, "lake_matches_cleaned")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found.description == "the lake holds other bytes than the cleaned file; run the month again"
    hashes = figures_of(found)
    assert hashes["SHA-256 of the cleaned file"] == platform.parquet("cleaned", "green", MONTH).sha256
    assert hashes["SHA-256 of the lake's object"] == platform.in_lake("green", MONTH).sha256
    assert steps_of(result) == ["check_lake_green_trips"]
    assert platform.table("green", MONTH).num_rows == in_table

    platform.run("green_trips_job", MONTH)
    assert check_alone(platform, "lake_matches_cleaned").passed


# The table


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM taxi.green_trips WHERE rowid = (SELECT min(rowid) FROM taxi.green_trips)", "rows against"),
        ("INSERT INTO taxi.green_trips SELECT * FROM taxi.green_trips LIMIT 1", "rows against"),
        ("UPDATE taxi.green_trips SET total_amount = total_amount + 0.01 WHERE rowid = 7", "total_amount: sum"),
        (
            "UPDATE taxi.green_trips SET pickup_datetime = pickup_datetime + INTERVAL 1 SECOND WHERE rowid = 7",
            "pickup_datetime: sum",
        ),
        ("UPDATE taxi.green_trips SET pickup_location_id = NULL WHERE rowid = 7", "pickup_location_id"),
        (
            """
            UPDATE taxi.green_trips SET pickup_location_id = ends.least + ends.greatest - pickup_location_id
            FROM (
                SELECT min(pickup_location_id) AS least, max(pickup_location_id) AS greatest,
                       [arg_min(rowid, pickup_location_id), arg_max(rowid, pickup_location_id)] AS rows
                FROM taxi.green_trips
            ) AS ends
            WHERE list_contains(ends.rows, green_trips.rowid)
            """,
            "as many rows and the same sums, but values stand in other rows",
        ),
        ("UPDATE taxi.green_trips SET source_month = DATE '2021-02-01' WHERE rowid = 7", "rows against"),
    ],
)
def test_a_table_that_is_not_the_lakes_month_any_more_is_found(platform: Platform, statement: str, told: str) -> None:
    platform.sql(statement)

    found = check_alone(platform, "table_matches_lake")

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert told in str(found.description)


def test_what_somebody_builds_on_the_table_is_not_run_on_a_table_that_does_not_match(platform: Platform) -> None:
    made: list[str] = []

    @dg.asset(
        deps=[["warehouse", "green_trips"]],
        partitions_def=dg.MonthlyPartitionsDefinition(start_date="2021-01", fmt="%Y-%m"),
    )
    def report() -> None:
        made.append(MONTH)

    assert go_on_after(platform, "warehouse", report).success
    platform.sql("DELETE FROM taxi.green_trips WHERE rowid = 7")
    assert not go_on_after(platform, "warehouse", report).success
    assert made == [MONTH]


def test_loading_the_month_again_mends_the_table(platform: Platform) -> None:
    platform.sql("DELETE FROM taxi.green_trips")
    assert not check_alone(platform, "table_matches_lake").passed
    platform.run("green_to_warehouse_job", MONTH)
    assert check_alone(platform, "table_matches_lake").passed


def test_a_month_the_table_does_not_hold_does_not_match(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data", sample_rows=ROWS)
    platform.run("green_to_lake_job", MONTH)
    platform.run("green_trips_job", "2021-02")
    found = check_alone(platform, "table_matches_lake")
    assert not found.passed
    assert found.metadata["rows in the table"].value == 0


# The view with zones


def test_a_view_that_shows_trips_twice_is_warned_of_and_stops_nothing(platform: Platform) -> None:
    platform.run("taxi_zones_job")
    platform.sql(
        """
        INSERT INTO taxi.taxi_zones SELECT * FROM taxi.taxi_zones;
        CREATE OR REPLACE VIEW taxi.green_trips_with_zones AS
        SELECT trips.*, zones.zone AS pickup_zone FROM taxi.green_trips AS trips
        LEFT JOIN taxi.taxi_zones AS zones ON zones.location_id = trips.pickup_location_id
        """
    )
    rows = platform.in_lake("green", MONTH).rows

    found = check_alone(platform, "zone_view_matches_table")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"{rows * 2} rows in the view and {rows} in the table, total_amount " in str(found.description)
    assert figures_of(found)["rows in the view"] == 2 * figures_of(found)["rows in the table"] == 2 * rows
    assert figures_of(found)["zones whose id repeats"] == 265

    @dg.asset(
        deps=[["warehouse", "green_trips"]],
        partitions_def=dg.MonthlyPartitionsDefinition(start_date="2021-01", fmt="%Y-%m"),
    )
    def report() -> None:
        pass

    assert go_on_after(platform, "warehouse", report).success

    # The lookup is as wrong as before; the view that comes with the month is not.
    assert checks_of(platform.run("green_to_warehouse_job", MONTH))["zone_view_matches_table"]
    once = platform.sql("SELECT count(*), round(sum(total_amount), 2) FROM taxi.green_trips")
    assert platform.sql("SELECT count(*), round(sum(total_amount), 2) FROM taxi.green_trips_with_zones") == once


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP VIEW taxi.green_trips_with_zones", "there is no view with zones beside the table"),
        ("DROP TABLE taxi.taxi_zones", "not compared: the view taxi.green_trips_with_zones cannot be read"),
    ],
)
def test_a_view_that_is_gone_or_cannot_be_read_is_warned_of(platform: Platform, statement: str, told: str) -> None:
    platform.sql(statement)

    found = check_alone(platform, "zone_view_matches_table")

    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert told in str(found.description)
    assert "load the month again" in str(found.description)
    assert checks_of(platform.run("green_to_warehouse_job", MONTH))["zone_view_matches_table"]


class Overtaken(DuckDBWarehouse):
    """A store whose month another run replaces between a look at the view and one at the table, once."""

    def measure_zone_view(self, contract: TripContract, month: Month) -> ZoneTotals | None:
        found = super().measure_zone_view(contract, month)
        if found and found.rows == 1:
            rows = [{"trip_number": 1}, {"trip_number": 2}]
            self.replace_month(contract, month, month_file(contract, month, rows, self.path.with_name("newer")))
        return found


def test_a_month_that_is_replaced_between_view_and_table_is_looked_at_again_and_a_store_in_use_is_no_warning(
    tmp_path: Path,
) -> None:
    places = {"pickup_location_id": "int32", "dropoff_location_id": "int32"}
    contract, month = contract_of({**COLUMNS, **places}), JANUARY
    store = Overtaken(tmp_path / "it.duckdb", load_catalog().zones, patience=0.2)
    store.replace_month(contract, month, month_file(contract, month, [{"trip_number": 1}], tmp_path / "month"))

    found = checks._zone_view_matches_table(contract, month, store)

    assert found.holds
    assert found.judged
    held = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", held, str(store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(WarehouseError, match="another process has held the warehouse"):
            checks._zone_view_matches_table(contract, month, store)
        other.communicate()
