"""The checks fail when a promise is broken, and stop what would build on it."""

from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.parquet import ParquetFile
from taxi_platform.io_managers.files import ParquetIOManager
from taxi_platform_tests.assets.platform import Platform, checks_of, failure_of

MONTH = "2021-01"
CONSERVED = dg.AssetCheckKey(dg.AssetKey(["cleaned", "green_trips"]), "rows_are_conserved")
MATCHES = dg.AssetCheckKey(dg.AssetKey(["warehouse", "green_trips"]), "table_matches_lake")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path / "data", sample_rows=1_000)


def lose_last_row(path: Path) -> None:
    """Rewrite a Parquet file without its last row; what it says of its origin stays."""
    table = pq.read_table(path)
    pq.write_table(table.slice(0, table.num_rows - 1), path)


class LosesARow(ParquetIOManager):
    """A disk on which the quarantine loses a row."""

    def handle_output(self, context: dg.OutputContext, obj: ParquetFile) -> None:
        super().handle_output(context, obj)
        if context.asset_key.path[0] == "quarantine":
            lose_last_row(
                self._path(context.asset_key, self._catalog.trips["green"].month(context.asset_partition_key))
            )


def check_alone(platform: Platform, check: dg.AssetCheckKey) -> dg.ExecuteInProcessResult:
    """Run one check, without what it checks, as the UI's "Execute" does: the month comes as a tag."""
    job = dg.define_asset_job("check_job", dg.AssetSelection.checks(check), executor_def=dg.in_process_executor)
    defs = dg.Definitions.merge(platform.defs, dg.Definitions(jobs=[job]))
    return defs.resolve_job_def("check_job").execute_in_process(
        instance=platform.instance, tags={"dagster/partition": MONTH}, raise_on_error=False
    )


def test_a_row_lost_between_raw_and_cleaned_stops_the_run_before_the_lake(platform: Platform) -> None:
    lossy = dg.Definitions(
        assets=platform.defs.assets,
        asset_checks=platform.defs.asset_checks,
        jobs=platform.defs.jobs,
        resources={
            **(platform.defs.resources or {}),
            "parquet_io_manager": LosesARow(platform.data_dir, platform.catalog),
        },
    )
    result = platform.run("green_trips_job", MONTH, defs=lossy, succeeds=False)

    assert checks_of(result) == {"rows_are_conserved": False}
    made = {event.asset_key.path[0] for event in result.get_asset_materialization_events() if event.asset_key}
    assert made == {"raw", "cleaned", "quarantine"}
    assert not (platform.data_dir / "lake").exists()
    assert not (platform.data_dir / "warehouse.duckdb").exists()


@pytest.mark.parametrize("layer", ["cleaned", "quarantine"])
def test_a_row_lost_after_the_run_is_found_by_the_check_alone(platform: Platform, layer: str) -> None:
    platform.run("green_to_lake_job", MONTH)
    assert check_alone(platform, CONSERVED).success

    lose_last_row(platform.parquet(layer, "green", MONTH).path)
    (found,) = check_alone(platform, CONSERVED).get_asset_check_evaluations()

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.metadata["rows unaccounted for"].value == 1
    assert found.metadata["rows in the source file"].value == 1_000


def test_files_made_from_another_raw_file_are_found_even_if_the_counts_agree(platform: Platform) -> None:
    platform.run("green_to_lake_job", MONTH)
    path = platform.parquet("quarantine", "green", MONTH).path
    table = pq.read_table(path)
    told = table.schema.metadata[b"taxi_platform"]
    sha256 = platform.parquet("cleaned", "green", MONTH).lineage.source_sha256.encode()
    pq.write_table(table.replace_schema_metadata({b"taxi_platform": told.replace(sha256, b"0" * 64)}), path)

    (found,) = check_alone(platform, CONSERVED).get_asset_check_evaluations()

    assert not found.passed
    assert "the files were not all made from the raw file that is here now" in str(found.description)


def test_a_file_that_does_not_say_where_its_rows_came_from_is_a_clear_failure(platform: Platform) -> None:
    platform.run("green_to_lake_job", MONTH)
    path = platform.parquet("quarantine", "green", MONTH).path
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    message = failure_of(check_alone(platform, CONSERVED))
    assert message.startswith("green: this Parquet file does not say where its rows came from")


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
        ("UPDATE taxi.green_trips SET source_month = DATE '2021-02-01' WHERE rowid = 7", "rows against"),
    ],
)
def test_a_table_that_is_not_the_lakes_month_any_more_is_found(platform: Platform, statement: str, told: str) -> None:
    platform.run("green_trips_job", MONTH)
    assert check_alone(platform, MATCHES).success
    platform.sql(statement)

    (found,) = check_alone(platform, MATCHES).get_asset_check_evaluations()

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert told in str(found.description)


def test_loading_the_month_again_mends_the_table(platform: Platform) -> None:
    platform.run("green_trips_job", MONTH)
    platform.sql("DELETE FROM taxi.green_trips")
    assert not check_alone(platform, MATCHES).success
    platform.run("green_to_warehouse_job", MONTH)
    assert check_alone(platform, MATCHES).success


def test_a_month_the_table_does_not_hold_does_not_match(platform: Platform) -> None:
    platform.run("green_to_lake_job", MONTH)
    platform.run("green_trips_job", "2021-02")
    (found,) = check_alone(platform, MATCHES).get_asset_check_evaluations()
    assert not found.passed
    assert found.metadata["rows in the table"].value == 0
