"""A month taken back to an older edition of its file, and the page that says how."""

import json
import os
import re
import subprocess
from pathlib import Path

import dagster as dg
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from taxi_platform.automation.outcomes import published_anew
from taxi_platform.automation.sensors import build_publication_sensor
from taxi_platform.core.lake import open_lake
from taxi_platform.core.lake.layers import MonthLayers
from taxi_platform.core.month import Month
from taxi_platform_tests.assets.months import trips, write_green
from taxi_platform_tests.assets.platform import Platform, metadata_of

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "editions.md").read_text(encoding="utf-8")
TRIPS = ROOT.parent / "shared" / "data" / "trips"
MONTH = "2021-01"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def platform(tmp_path: Path, source: Path) -> Platform:
    """A platform whose source has replaced a month of four trips by one of three."""
    platform = Platform(tmp_path / "data", source=str(source))
    for rows in (trips({}, {}, {}, {}), trips({}, {}, {"fare_amount": "99"})):
        write_green(source, rows)
        platform.run("green_trips_job", MONTH)
    return platform


def layers_of(platform: Platform) -> MonthLayers:
    lake = open_lake(str(platform.data_dir / "lake"), platform.data_dir / ".lake")
    return MonthLayers(lake, "green", Month.parse(MONTH))


def rows_everywhere(platform: Platform) -> list[int]:
    (table,) = platform.sql("SELECT count(*) FROM taxi.green_trips")
    return [platform.parquet("cleaned", "green", MONTH).rows, platform.in_lake("green", MONTH).rows, *table]


def test_a_pinned_edition_is_the_month_in_every_store_until_it_is_let_go(platform: Platform) -> None:
    layers = layers_of(platform)
    older, newer = sorted(layers.editions(), key=lambda it: -it.rows)
    assert rows_everywhere(platform) == [3, 3, 3]

    layers.choose(older.sha256, pinned=True)
    result = platform.run("green_trips_job", MONTH)
    assert rows_everywhere(platform) == [4, 4, 4]
    assert "taxi rollback green 2021-01 latest" in metadata_of(result, "raw", "green_trips")["pinned"]
    platform.run("green_trips_job", MONTH)  # whoever runs it
    assert rows_everywhere(platform) == [4, 4, 4]

    layers.choose(older.sha256, pinned=False)
    result = platform.run("green_trips_job", MONTH)
    assert rows_everywhere(platform) == [3, 3, 3]
    assert metadata_of(result, "raw", "green_trips")["pinned"] == "no"
    choice = layers.choice()
    assert choice
    assert (choice.sha256, choice.pinned) == (newer.sha256, False)


def test_a_month_that_is_replaced_says_what_is_another(platform: Platform, source: Path) -> None:
    write_green(source, trips({}, {}, {"fare_amount": "98"}, {}))
    result = platform.run("green_trips_job", MONTH)
    told = metadata_of(result, "cleaned", "green_trips")
    says = "2 rows are the same, 0 are no more, 1 are new, 1 changed (fare_amount 1)"
    assert told["difference to the edition before"] == says
    assert "| `fare_amount` | 1 |" in told["difference in detail"]
    assert published_anew(platform.instance, result.dagster_run) == says

    again = platform.run("green_trips_job", MONTH)
    assert "difference to the edition before" not in metadata_of(again, "cleaned", "green_trips")
    assert published_anew(platform.instance, again.dagster_run) == ""


def test_the_sensor_asks_for_a_replaced_month_unless_it_is_pinned(platform: Platform, source: Path) -> None:
    resources = {
        key: it for key, it in (platform.defs.resources or {}).items() if key in ("source", "lake", "warehouse")
    }
    sensor = build_publication_sensor(platform.catalog.trips["green"], platform.catalog, dg.DefaultSensorStatus.RUNNING)

    def asked() -> set[str]:
        context = dg.build_sensor_context(
            instance=platform.instance, resources=resources, repository_def=platform.defs.get_repository_def()
        )
        requests = sensor.evaluate_tick(context).run_requests or []
        return {str(it.partition_key) for it in requests}

    layers = layers_of(platform)
    write_green(source, trips({}))
    layers.choose(layers.editions()[0].sha256, pinned=True)
    assert MONTH not in asked()
    layers.choose(layers.editions()[0].sha256, pinned=False)
    assert MONTH in asked()


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    """The two editions of green 2020-04: the real ones, or where those are not at hand, small ones made here."""
    mirror, tlc = tmp_path / "mirror", tmp_path / "tlc"
    for folder, name in ((mirror, "green_tripdata_2020-04.csv.gz"), (tlc, "green_tripdata_2020-04.parquet")):
        folder.mkdir()
        if TRIPS.is_dir():
            (folder / name).symlink_to(TRIPS / name)
    if not TRIPS.is_dir():
        rows = [{k: v.replace("2021-01", "2020-04") for k, v in row.items()} for row in trips(*[{}] * 40)]
        path = write_green(mirror, rows[:38], "2020-04")
        full = write_green(tmp_path, rows, "2020-04")
        pq.write_table(pyarrow.csv.read_csv(full), tlc / "green_tripdata_2020-04.parquet")
        assert path.exists()
    return {"mirror": mirror, "tlc": tlc}


@pytest.mark.long
@pytest.mark.timeout(300)
def test_every_command_of_the_page_of_editions_does_what_it_says(tmp_path: Path, sources: dict[str, Path]) -> None:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("TAXI_", "DAGSTER_", "PYTEST_"))
    }
    environ["TAXI_DATA_DIR"] = str(tmp_path / "data")
    said: dict[str, str] = {}
    for block in re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for command in block.splitlines():
            script = re.sub(r"--source (\w+)", lambda it: f"--source {sources[it[1]]}", command)
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=ROOT,
                env=environ,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            said[command.removeprefix(".venv/bin/taxi ")] = done.stdout
    found = json.loads(said["diff green 2020-04 csv parquet --json"])
    assert "pinned" not in said["editions green 2020-04"]
    assert (
        found["b"]["rows"] - found["a"]["rows"] == found["only_b"] - found["only_a"] == len(found["samples"]["only_b"])
    )
    if TRIPS.is_dir():
        assert (found["same"], found["only_a"], found["only_b"], found["changed"]) == (24_502, 0, 32, 11_110)
        assert found["columns"] == {"vendor_id": 11_110}
        assert {it["vendor_id"] for it in found["samples"]["only_b"]} == {"6"}
        assert re.search(r"warehouse +35,480 rows", said["rollback green 2020-04 csv"])
        assert re.search(r"warehouse +35,512 rows", said["rollback green 2020-04 latest --source tlc"])


def test_verify_says_which_store_has_another_month_and_ends_with_1(platform: Platform, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TAXI_", "DAGSTER_"))}
    environ |= {"TAXI_DATA_DIR": str(platform.data_dir)}
    platform.sql("UPDATE taxi.green_trips SET trip_distance = trip_distance + 1")
    taxi = [str(ROOT / ".venv" / "bin" / "taxi"), "verify", "green", "2020-12", MONTH, "--json"]
    done = subprocess.run(taxi, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(it["month"], it["state"]) for it in found["months"]] == [("2020-12", "not held"), (MONTH, "differs")]
    told = found["months"][1]["fingerprint"]
    assert told["lineage"] == told["lake"] != told["table"]
    what, cause, fix = done.stderr.strip().splitlines()
    assert what.startswith("green 2021-01: the table is not what the lake holds: trip_distance: sum ")
    assert (cause[:7], fix) == ("Cause: ", "Fix: run the month again: taxi run green 2021-01")


def test_an_edition_that_is_none_is_refused_with_those_there_are(platform: Platform, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TAXI_", "DAGSTER_"))}
    environ |= {"TAXI_DATA_DIR": str(platform.data_dir), "TAXI_SOURCE": "sample"}
    taxi = [str(ROOT / ".venv" / "bin" / "taxi"), "rollback", "green", MONTH, "parquet"]
    done = subprocess.run(taxi, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "there is no edition 'parquet'" in done.stderr
    assert "4 rows" in done.stderr
    assert "taxi editions green 2021-01 lists them" in done.stderr
    choice = layers_of(platform).choice()
    assert choice
    assert not choice.pinned
