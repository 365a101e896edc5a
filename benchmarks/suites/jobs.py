"""The whole job as people start it, `dagster job execute`, from the first instruction of the process to its end."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.process import Run
from benchmarks.suites import Contender, Suite
from benchmarks.world import MONTH, TABLE, World

DAGSTER = Path(sys.executable).with_name("dagster")


def execute(world: World, folder: Path, source: Path, month: str = MONTH, warehouse_url: str = "") -> Run:
    """One job in a data folder whose instance is there already."""
    tags = json.dumps({"dagster/partition": month})
    return world.run(
        *(DAGSTER, "job", "execute", "-m", "taxi_platform.definitions", "-j", "yellow_trips_job", "--tags", tags),
        TAXI_DATA_DIR=folder,
        TAXI_SOURCE=source,
        TAXI_WAREHOUSE_URL=warehouse_url,
        DAGSTER_HOME=folder / "dagster",
    )


def verified(world: World, folder: Path, run: Run, runs: int = 1) -> Run:
    """The run, after a look whether every check was evaluated and passed; its `start` is until its first step."""
    told = world.ours("benchmarks.instances", "verify", folder / "dagster", str(runs)).told
    return replace(run, told=run.told | {"start": told["first_step"] - run.began})


def fresh_job(world: World, folder: Path, rows: int, warehouse_url: str = "") -> Run:
    """One job in a data folder of its own: the month is fetched, and nothing is there before it."""
    world.new_home(folder)
    return verified(world, folder, execute(world, folder, world.source(rows), warehouse_url=warehouse_url))


def import_dagster(world: World) -> Run:
    """What every process pays that imports Dagster."""
    return world.run(sys.executable, "-c", "import dagster")


def _bare(world: World, folder: Path, rows: int) -> Run:
    made = world.made(rows)
    warehouse = shutil.copyfile(made / "others.duckdb", folder / "warehouse.duckdb")
    return world.ours(
        "benchmarks.bare", "job", world.raw(rows), folder / "out.parquet", made / "cleaned.parquet", warehouse
    )


def _all_of(run: Run, rows: int) -> Run:
    if run.told["rows"] > rows or run.told["rows"] < rows * 0.9:
        raise SystemExit(f"a peer loaded {run.told['rows']:,} of {rows:,} rows")
    return run


def to_duckdb(world: World) -> Suite:
    """The month into a DuckDB file."""
    rows, often = world.plan.month_rows, world.plan.repeats
    raw = world.raw(rows)
    world.made(rows)

    def dlt(folder: Path, *how: str) -> Run:
        return _all_of(world.theirs("dlt_pipeline", raw, folder, "duckdb", *how), rows)

    return Suite(
        "job-duckdb",
        "The whole job, csv.gz → DuckDB",
        (
            Contender("ours", "ours", lambda it: fresh_job(world, it, rows), often, rows),
            Contender("dlt", "dlt, in blocks", dlt, often, rows),
            Contender("dlt-whole", "dlt, the month in memory", lambda it: dlt(it, "whole"), often, rows),
            Contender("import", "import dagster", lambda _: import_dagster(world), often, rows),
            Contender("bare", "bare COPY, then INSERT", lambda it: _bare(world, it, rows), often, rows),
        ),
    )


def to_postgres(world: World) -> Suite:
    """The month into PostgreSQL."""
    rows, often = world.plan.month_rows, world.plan.repeats
    raw, loaded = world.raw(rows), world.loaded(rows)

    def ours(folder: Path) -> Run:
        with world.database() as url:
            return fresh_job(world, folder, rows, url)

    def dlt(folder: Path, *how: str) -> Run:
        with world.database() as url:
            return _all_of(world.theirs("dlt_pipeline", raw, folder, "postgres", *how, BENCH_POSTGRES_URL=url), rows)

    def course(_: Path) -> Run:
        with world.database() as url:
            return _all_of(world.theirs("course", "job", raw, BENCH_POSTGRES_URL=url), rows)

    def bare(folder: Path) -> Run:
        return world.ours("benchmarks.bare", "job", raw, folder / "out.parquet", loaded.conninfo, TABLE, loaded.binary)

    return Suite(
        "job-postgres",
        "The whole job, csv.gz → PostgreSQL",
        (
            Contender("ours", "ours", ours, often, rows),
            Contender("dlt", "dlt, in blocks, by ADBC", dlt, often, rows),
            Contender("dlt-whole", "dlt, the month in memory, by ADBC", lambda it: dlt(it, "whole"), often, rows),
            Contender("import", "import dagster", lambda _: import_dagster(world), often, rows),
            Contender("bare", "bare COPY, then COPY BINARY", bare, often, rows),
            Contender("course", "the course's script", course, world.plan.slow_repeats, rows),
        ),
    )


def small(world: World) -> Suite:
    """A month so small that all is start-up."""
    rows, often = world.plan.small_rows, world.plan.repeats
    world.made(rows)
    return Suite(
        "job-small",
        "The whole job on a small month",
        (
            Contender("ours", "ours", lambda it: fresh_job(world, it, rows), often, rows),
            Contender("import", "import dagster", lambda _: import_dagster(world), often, rows),
            Contender("bare", "bare COPY, then INSERT", lambda it: _bare(world, it, rows), often, rows),
        ),
    )


def growth(world: World) -> Suite:
    """The same job on ever larger months; each is compared with the real one's size."""
    few, month, more, most = world.plan.growth_rows
    for rows in world.plan.growth_rows:
        world.source(rows)

    def job(name: str, rows: int) -> Contender:
        often = world.plan.repeats if rows <= month else world.plan.slow_repeats
        return Contender(name, f"{rows:,} rows", lambda it: fresh_job(world, it, rows), often, rows)

    return Suite(
        "growth",
        "Growth: the whole job to DuckDB",
        (job("month", month), job("few", few), job("more", more), job("most", most)),
    )
