"""The zone lookup: 265 rows, no months."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from taxi_platform_tests.assets.platform import Platform, failure_of, metadata_of

ZONES = ["reference", "taxi_zones"]


def test_the_zones_reach_the_warehouse_and_a_rerun_replaces_them(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data")
    for _ in range(2):
        result = platform.run("taxi_zones_job")
        assert metadata_of(result, *ZONES)["dagster/row_count"] == 265
    assert platform.sql("SELECT count(*), count(DISTINCT location_id), max(location_id) FROM taxi.taxi_zones") == [
        (265, 265, 265)
    ]
    # "N/A" is what TLC calls a borough, not a missing value.
    assert platform.sql("SELECT borough, zone FROM taxi.taxi_zones WHERE location_id = 265") == [
        ("N/A", "Outside of NYC")
    ]


def test_the_zones_can_be_loaded_as_rows(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data")
    platform.run("taxi_zones_job")
    frame = platform.defs.load_asset_value(ZONES, instance=platform.instance)
    table = platform.defs.load_asset_value(ZONES, python_type=pa.Table, instance=platform.instance)
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(table, pa.Table)
    assert len(frame) == table.num_rows == 265


def test_a_lookup_that_is_not_what_its_contract_says_never_replaces_the_one_that_is(tmp_path: Path) -> None:
    Platform(tmp_path / "data").run("taxi_zones_job")
    source = tmp_path / "source"
    source.mkdir()
    (source / "taxi_zone_lookup.csv").write_text("LocationID,Borough,Zone,service_zone\n1,EWR,Newark Airport,EWR\n")
    platform = Platform(tmp_path / "data", source=str(source))

    message = failure_of(platform.run("taxi_zones_job", succeeds=False))

    assert "taxi_zones: the file is not what its contract says" in message
    assert "it has 1 rows, not 265" in message
    assert platform.sql("SELECT count(*) FROM taxi.taxi_zones") == [(265,)]


def test_a_lookup_whose_ids_repeat_is_refused_and_the_zones_that_are_there_stay(tmp_path: Path) -> None:
    Platform(tmp_path / "data").run("taxi_zones_job")
    source = tmp_path / "source"
    write_lookup_of_shapes(source)
    platform = Platform(tmp_path / "data", source=str(source))

    message = failure_of(platform.run("taxi_zones_job", succeeds=False))

    for told in ("taxi_zones: ", str(source / "taxi_zone_lookup.csv"), "56 (2 times), 103 (3 times)", "Fix: give each"):
        assert told in message
    assert platform.sql("SELECT count(*), count(DISTINCT location_id) FROM taxi.taxi_zones") == [(265, 265)]


def write_lookup_of_shapes(folder: Path) -> None:
    """The lookup people make of TLC's shapefile, in which 56 stands for 57, and 103 for 104 and 105, too."""
    shapes = {57: 56, 104: 103, 105: 103}
    lines = [f"{shapes.get(number, number)},Borough,Zone {number},Boro Zone" for number in range(1, 266)]
    folder.mkdir()
    (folder / "taxi_zone_lookup.csv").write_text("\n".join(["LocationID,Borough,Zone,service_zone", *lines]))
