"""What a kill could break is broken here by hand, between the kill and the look: who looks must see it."""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from taxi_platform_tests.faults.months import MONTH, NEIGHBOUR
from taxi_platform_tests.faults.points import BETWEEN_COPIES
from taxi_platform_tests.faults.stores import Servers
from taxi_platform_tests.faults.tracer import CALL, Point, Spot
from taxi_platform_tests.faults.world import LAKE_KEYS, Kill, World, prepared_world


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Generator[World, None, None]:
    """A world in which a run was killed between the two COPYs, and nothing is wrong."""
    folder = tmp_path_factory.mktemp("world")
    with Servers() as servers, prepared_world("folder+duckdb", servers, folder / "it") as world:
        world.correct()
        assert world.kill(Kill(BETWEEN_COPIES)) == []
        assert world.check() == []
        yield world


@contextmanager
def put_right_afterwards(world: World) -> Generator[None, None, None]:
    """What is done to the data folder in the block is undone."""
    kept = world.folder / "kept"
    shutil.copytree(world.data, kept)
    try:
        yield
    finally:
        shutil.rmtree(world.data)
        kept.rename(world.data)


def sql(statement: str) -> Callable[[Path], None]:
    """Change the table."""

    def change(data: Path) -> None:
        with duckdb.connect(str(data / "warehouse.duckdb")) as con:
            con.execute(statement)

    return change


def in_lake(change: Callable[[Path], object], month: str = MONTH) -> Callable[[Path], object]:
    """Change an object."""
    return lambda data: change(data / "lake" / LAKE_KEYS[month])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


_OF_MONTH = f"source_month = DATE '{MONTH}-01'"
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "half of the rows": (sql(f"DELETE FROM taxi.green_trips WHERE {_OF_MONTH} AND trip_distance > 2000"), "table of"),
    "one row less": (sql(f"DELETE FROM taxi.green_trips WHERE {_OF_MONTH} AND trip_distance = 7"), "table of"),
    "no rows": (sql(f"DELETE FROM taxi.green_trips WHERE {_OF_MONTH}"), "table of"),
    "one row twice": (
        sql(f"INSERT INTO taxi.green_trips FROM taxi.green_trips WHERE {_OF_MONTH} AND trip_distance = 7"),
        "table of",
    ),
    "all rows twice": (sql(f"INSERT INTO taxi.green_trips FROM taxi.green_trips WHERE {_OF_MONTH}"), "table of"),
    "one row of another version": (
        sql(f"UPDATE taxi.green_trips SET store_and_fwd_flag = 'x' WHERE {_OF_MONTH} AND trip_distance = 7"),
        "table of",
    ),
    "one value": (
        sql(f"UPDATE taxi.green_trips SET tip_amount = 0 WHERE {_OF_MONTH} AND trip_distance = 7"),
        "table of",
    ),
    "another month's rows": (
        sql(f"DELETE FROM taxi.green_trips WHERE NOT {_OF_MONTH}"),
        f"table of {NEIGHBOUR}, which nobody touched",
    ),
    "rows of a month that is none": (
        sql("INSERT INTO taxi.green_trips (source_month, trip_distance) VALUES (DATE '2020-11-01', 1)"),
        "expected two months",
    ),
    "half an object": (in_lake(cut), "lake of"),
    "no object": (in_lake(Path.unlink), "lake of"),
    "another month's object": (in_lake(cut, NEIGHBOUR), f"lake of {NEIGHBOUR}, which nobody touched"),
    "an object readers of the lake find": (
        in_lake(lambda path: shutil.copy(path, path.with_name(".copy.parquet"))),
        ".copy.parquet",
    ),
    "half of the cleaned file": (lambda data: cut(data / "cleaned" / "green" / f"{MONTH}.parquet"), "cleaned of"),
    "half of the quarantine": (lambda data: cut(data / "quarantine" / "green" / f"{MONTH}.parquet"), "quarantine of"),
    "half of the raw file": (
        lambda data: cut(data / "raw" / "green" / MONTH / f"green_tripdata_{MONTH}.csv.gz"),
        "raw of",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_between_the_kill_and_the_look_is_seen(killed: World, what: str) -> None:
    breaks, told = BROKEN[what]
    with put_right_afterwards(killed):
        breaks(killed.data)
        problems = killed.check()
    assert any(told in problem for problem in problems), problems
    assert killed.check() == []


def test_what_runs_that_were_killed_left_and_the_last_one_did_not_remove_is_seen(killed: World) -> None:
    with put_right_afterwards(killed):
        (killed.data / "cleaned" / "green" / ".2021-01.work-of-nobody").mkdir()
        (killed.data / "lake" / "green_trips" / "source_month=2021-01" / "half").write_text("half")
        sql("CREATE TABLE taxi.green_trips_stage (number INTEGER)")(killed.data)
        left_over = "\n".join(killed.left_over())
    assert ".2021-01.work-of-nobody" in left_over
    assert "source_month=2021-01/half" in left_over
    assert "taxi.green_trips_stage" in left_over


def test_a_point_that_no_run_comes_to_is_a_violation(killed: World) -> None:
    nowhere = Point("where no run comes", Spot("taxi_platform.core.files", "publish_twice", CALL))
    with put_right_afterwards(killed):
        (problem,) = killed.kill(Kill(nowhere))
    assert problem.startswith("the run was not killed 'where no run comes': it ended with 0")
