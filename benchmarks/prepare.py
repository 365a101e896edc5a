"""What is measured with, made in processes of its own.

    python -m benchmarks.prepare source INPUTS ROWS FIRST LAST    generated months, kept; tells their folder
    python -m benchmarks.prepare made SOURCE MADE                 what the platform makes of 2021-01, stage by stage
    python -m benchmarks.prepare postgres MADE                    three months in the database BENCH_POSTGRES_URL

`INPUTS` outlives a benchmark, all else is made anew by the code that is measured.
"""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.months import CATALOG, LATEST, OTHERS, YELLOW, ZONES, Made
from benchmarks.work import tell
from taxi_platform.core.cleaning import clean
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source import open_source
from taxi_platform.core.source.sample import SampleOrigin, write_month
from taxi_platform.core.warehouse.duckdb import DuckDBWarehouse

#: What TLC's own files were packed with.
_GZIP_LEVEL = 6


def source(inputs: Path, rows: int, first: Month, last: Month) -> None:
    """A source folder with generated months; what is there already is kept, unless the generator has changed."""
    months = first.until(last)
    announced = SampleOrigin(CATALOG, rows).probe(f"sample://yellow_tripdata_{last}.csv.gz", "")
    folder = inputs / (announced.version if announced else "unknown")
    folder.mkdir(parents=True, exist_ok=True)
    for month in months:
        path = folder / f"yellow_tripdata_{month}.csv.gz"
        if not path.exists():
            _write(month, rows, path)
    tell(folder=str(folder))


def _write(month: Month, rows: int, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        plain, packed = Path(folder) / "month.csv", Path(folder) / "month.csv.gz"
        write_month(YELLOW, month, rows, plain)
        with plain.open("rb") as text, packed.open("wb") as file, gzip.GzipFile("", "wb", _GZIP_LEVEL, file, 0) as out:
            shutil.copyfileobj(text, out, 1 << 20)
        packed.rename(path)


def make(folder: Path, made: Made) -> None:
    """Fetch a month, clean it and load it, by the code that is measured afterwards."""
    open_source(str(folder), made.raw_dir, CATALOG, 0).fetch(YELLOW, LATEST, logging.getLogger("prepare"))
    work = made.folder / "work"
    work.mkdir()
    result = clean(YELLOW, LATEST, made.raw, YELLOW.actions({}), work)
    result.cleaned.path.rename(made.cleaned)
    result.quarantine.path.rename(made.quarantine)
    cleaned = ParquetFile(made.cleaned)
    for path, months in ((made.others, OTHERS), (made.warehouse, (*OTHERS, LATEST))):
        store = DuckDBWarehouse(path, ZONES)
        for month in months:
            store.replace_month(YELLOW, month, cleaned)


def load_postgres(made: Made) -> None:
    """A table that holds the month and two others."""
    from taxi_platform.core.warehouse.postgres import PostgresWarehouse

    store = PostgresWarehouse(os.environ["BENCH_POSTGRES_URL"], ZONES)
    for month in (*OTHERS, LATEST):
        store.replace_month(YELLOW, month, ParquetFile(made.cleaned))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["source", inputs, rows, first, last]:
            source(Path(inputs), int(rows), Month.parse(first), Month.parse(last))
        case ["made", folder, made]:
            make(Path(folder), Made(Path(made)))
        case ["postgres", made]:
            load_postgres(Made(Path(made)))
        case _:
            raise SystemExit(__doc__)
