"""What another machine can do with an empty data folder, the lake, the warehouse and Dagster's records."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.core.files import sha256_of
from taxi_platform.core.lake import open_lake
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.zone_shapes import shapes_below
from taxi_platform.io_managers.files import ParquetIOManager
from taxi_platform_tests.assets.months import trips, write_green
from taxi_platform_tests.assets.platform import Platform

MONTH = "2021-01"
#: A port nobody listens at.
NOWHERE = "http://127.0.0.1:9"
TRIPS = Path(__file__).parents[2] / "shared" / "data" / "trips"


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Platform]:
    """A machine with a data folder of its own; all of them share the lake, the warehouse and Dagster's records."""
    shared = dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / ".dagster"))

    def started(name: str, source: str = NOWHERE) -> Platform:
        warehouse = f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
        platform = Platform(tmp_path / name, source=source, lake_url=str(tmp_path / "lake"), warehouse_url=warehouse)
        platform.__dict__["instance"] = shared
        return platform

    return started


def alone(platform: Platform, month: str, *layers: str) -> dg.ExecuteInProcessResult:
    """Some assets of green, executed without those before them, as from the UI."""
    selection = [dg.AssetKey([layer, "green_trips"]) for layer in layers]
    job = platform.defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(partition_key=month, instance=platform.instance, asset_selection=selection)


@pytest.mark.skipif(not TRIPS.is_dir(), reason=f"no real months at {TRIPS}")
def test_a_real_month_is_cleaned_again_from_the_lake_to_the_same_bytes_while_nobody_reaches_the_source(
    machine: Callable[..., Platform],
) -> None:
    first, second = machine("first", str(TRIPS)), machine("second")
    first.run("green_trips_job", "2020-11")
    assert alone(second, "2020-11", "cleaned", "quarantine").success
    assert [second.parquet(it, "green", "2020-11").rows for it in ("cleaned", "quarantine")] == [88_413, 192]
    for layer in ("cleaned", "quarantine"):
        assert second.parquet(layer, "green", "2020-11").sha256 == first.parquet(layer, "green", "2020-11").sha256


def test_each_asset_is_executed_alone_on_a_machine_that_has_nothing(
    machine: Callable[..., Platform], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    write_green(source, trips({}, {}, {"passenger_count": "0"}))
    machine("first", str(source)).run("green_trips_job", MONTH)
    for layers in (("cleaned", "quarantine"), ("lake",), ("warehouse",)):
        other = machine("-".join(layers))
        assert alone(other, MONTH, *layers).success
        assert machine("reader").load("cleaned", "green", MONTH).shape[0] == 2


def test_a_month_that_was_only_cleaned_reaches_the_lake_from_a_machine_that_has_not_cleaned_it(
    machine: Callable[..., Platform], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    write_green(source, trips({}, {}))
    first, second = machine("first", str(source)), machine("second")
    alone(first, MONTH, "raw", "cleaned", "quarantine")
    alone(second, MONTH, "lake")
    assert second.parquet("cleaned", "green", MONTH).rows == 2
    (object_,) = (tmp_path / "lake" / "green_trips").rglob("*.parquet")
    assert sha256_of(object_) == first.parquet("cleaned", "green", MONTH).sha256


@pytest.mark.parametrize("has_shapes", [True, False])
def test_a_month_whose_zones_were_derived_is_made_again_with_them_or_it_is_told(
    machine: Callable[..., Platform], tmp_path: Path, capfd: pytest.CaptureFixture[str], has_shapes: bool
) -> None:
    first, second, month = machine("first", "sample"), machine("second"), "2014-05"
    first.run("taxi_zone_shapes_job")
    alone(first, month, "raw", "cleaned", "quarantine")
    if has_shapes:
        (second.data_dir / "reference").mkdir(parents=True)
        shutil.copy(shapes_below(first.data_dir), second.data_dir / "reference")
    capfd.readouterr()
    alone(second, month, "lake")
    is_same = second.parquet("cleaned", "green", month).sha256 == first.parquet("cleaned", "green", month).sha256
    assert is_same == has_shapes
    assert ("byte for byte" in capfd.readouterr().err) != has_shapes


def test_a_run_that_goes_on_after_a_failure_does_so_on_a_machine_that_has_not_what_it_made(
    machine: Callable[..., Platform], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    write_green(source, trips({}, {}, {"passenger_count": "0"}))
    first, second = machine("first", str(source)), machine("second")
    begun = alone(first, MONTH, "raw", "cleaned", "quarantine")
    managers = ParquetIOManager(second.data_dir, second.catalog, open_lake(str(tmp_path / "lake"), tmp_path / "cache"))
    for layer, rows in (("cleaned", 2), ("quarantine", 1)):
        key = dg.AssetKey([layer, "green_trips"])
        made = dg.build_output_context(step_key="clean_green_trips", name=layer, run_id=begun.run_id)
        with dg.build_input_context(
            asset_key=key,
            partition_key=MONTH,
            asset_partitions_def=second.defs.resolve_asset_graph().get(key).partitions_def,
            asset_partition_key_range=dg.PartitionKeyRange(MONTH, MONTH),
            upstream_output=made,
            instance=second.instance,
            dagster_type=dg.PythonObjectDagsterType(ParquetFile),
        ) as context:
            taken = managers.load_input(context)
        assert taken.rows == rows
        assert taken.sha256 == first.parquet(layer, "green", MONTH).sha256


def test_a_machine_with_an_older_month_takes_what_another_has_made_since(
    machine: Callable[..., Platform], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    write_green(source, trips({}, {}))
    old, new = machine("old", str(source)), machine("new", str(source))
    old.run("green_trips_job", MONTH)
    write_green(source, trips({}, {}, {}))
    new.run("green_trips_job", MONTH)

    alone(old, MONTH, "lake")
    assert old.load("lake", "green", MONTH).shape[0] == 3
    alone(old, MONTH, "cleaned", "quarantine")
    assert old.parquet("cleaned", "green", MONTH).rows == 3


def test_a_month_is_judged_against_neighbours_another_machine_has_made(
    machine: Callable[..., Platform], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for month in ("2020-11", "2020-12", "2021-01"):
        rows = [{k: v.replace("2021-01", month) for k, v in row.items()} for row in trips({}, {})]
        write_green(source, rows, month)
    for month in ("2020-11", "2020-12"):
        machine("first", str(source)).run("green_trips_job", month)
    result = machine("second", str(source)).run("green_trips_job", MONTH)
    (found,) = (it for it in result.get_asset_check_evaluations() if it.check_name == "row_count_in_trend")
    assert found.metadata["months compared with"].value == 2


def test_a_data_folder_of_before_keeps_what_it_has_fetched_when_the_source_replaces_it(
    machine: Callable[..., Platform], tmp_path: Path
) -> None:
    source, platform = tmp_path / "source", machine("laptop", str(tmp_path / "source"))
    write_green(source, trips({}, {}))
    platform.run("green_trips_job", MONTH)
    for it in sorted((tmp_path / "lake" / "_raw").rglob("*"), reverse=True):  # as if no edition had been kept
        it.unlink() if it.is_file() else it.rmdir()
    write_green(source, trips({}, {}, {}))
    platform.run("green_trips_job", MONTH)
    assert len(list((tmp_path / "lake" / "_raw").rglob("green_tripdata*"))) == 2
