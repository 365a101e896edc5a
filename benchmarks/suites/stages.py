"""Each stage against its bare-engine limit, and against what the course does there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.process import Run
from benchmarks.suites import Contender, Suite
from benchmarks.world import TABLE, World


def _suite(world: World, name: str, title: str, *contenders: tuple[str, str, Callable[[Path], Run], int]) -> Suite:
    rows = world.plan.month_rows
    return Suite(name, title, tuple(Contender(*it, rows) for it in contenders))


def clean(world: World) -> Suite:
    """csv.gz to Parquet."""
    raw, made, often = world.raw(world.plan.month_rows), world.made(world.plan.month_rows), world.plan.repeats

    def pandas(folder: Path, compression: str) -> Run:
        return world.theirs("course", "clean", raw, folder / "out.parquet", compression)

    return _suite(
        world,
        "clean",
        "Clean: csv.gz → cleaned and quarantined Parquet",
        ("ours", "ours", lambda it: world.ours("benchmarks.stages", "clean", made, it), often),
        ("bare", "bare COPY", lambda it: world.ours("benchmarks.bare", "clean", raw, it / "out.parquet"), often),
        (
            "unpacked",
            "isal, then bare COPY",
            lambda it: world.ours("benchmarks.bare", "unpacked", raw, it / "out.parquet"),
            often,
        ),
        ("gzip", "the course's pandas, packed by gzip", lambda it: pandas(it, "gzip"), world.plan.slow_repeats),
        ("pandas", "pandas, packed by Snappy", lambda it: pandas(it, "snappy"), world.plan.slow_repeats),
    )


def lake(world: World) -> Suite:
    """Parquet to the lake."""
    made, often = world.made(world.plan.month_rows), world.plan.repeats
    cleaned = made / "cleaned.parquet"
    return _suite(
        world,
        "lake",
        "Lake: put the file and check it",
        ("ours", "ours", lambda it: world.ours("benchmarks.stages", "lake", made, it), often),
        ("bare", "a plain copy", lambda it: world.ours("benchmarks.bare", "lake", cleaned, it / "copy"), often),
    )


def duckdb(world: World) -> Suite:
    """Parquet to DuckDB."""
    made, often = world.made(world.plan.month_rows), world.plan.repeats

    def warehouse(folder: Path, holding: str) -> Path:
        return Path(shutil.copyfile(made / holding, folder / "warehouse.duckdb"))

    def bare(folder: Path, how: str, holding: str) -> Run:
        return world.ours("benchmarks.bare", "duckdb", made / "cleaned.parquet", warehouse(folder, holding), how)

    return _suite(
        world,
        "duckdb",
        "DuckDB: replace a month in a table of three",
        (
            "ours",
            "ours",
            lambda it: world.ours("benchmarks.stages", "duckdb", made, warehouse(it, "warehouse.duckdb")),
            often,
        ),
        ("insert", "bare INSERT … SELECT", lambda it: bare(it, "insert", "others.duckdb"), often),
        ("unordered", "the same, in no order", lambda it: bare(it, "unordered", "others.duckdb"), often),
        ("replace", "bare DELETE and INSERT … SELECT", lambda it: bare(it, "replace", "warehouse.duckdb"), often),
    )


def postgres(world: World) -> Suite:
    """Parquet to PostgreSQL."""
    made, loaded, often = world.made(world.plan.month_rows), world.loaded(world.plan.month_rows), world.plan.repeats

    def ours(_: Path) -> Run:
        return world.ours("benchmarks.stages", "postgres", made, BENCH_POSTGRES_URL=loaded.url)

    def bare(_: Path) -> Run:
        return world.ours("benchmarks.bare", "postgres", loaded.conninfo, TABLE, loaded.binary)

    def to_sql(_: Path) -> Run:
        with world.database() as url:
            return world.theirs("course", "to_sql", made / "cleaned.parquet", BENCH_POSTGRES_URL=url)

    return _suite(
        world,
        "postgres",
        "PostgreSQL: replace a month in a table of three",
        ("ours", "ours", ours, often),
        ("bare", "server-side COPY BINARY", bare, often),
        ("to_sql", "pandas to_sql", to_sql, world.plan.slow_repeats),
    )


def checks(world: World) -> Suite:
    """Looking at a month."""
    made, often = world.made(world.plan.month_rows), world.plan.repeats
    return _suite(
        world,
        "checks",
        "Checks: of the cleaned file, and of file against table",
        ("ours", "ours", lambda it: world.ours("benchmarks.stages", "checks", made, it), often),
        ("bare", "one bare scan", lambda _: world.ours("benchmarks.bare", "checks", made / "cleaned.parquet"), often),
    )
