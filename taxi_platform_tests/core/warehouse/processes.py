"""Work done in processes of its own: what the promises are about is runs that are killed, or come at the same time."""

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.lake import open_lake
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.settings import Settings

#: A fork would share the parent's threads and locks, and DuckDB's with them.
SPAWN = multiprocessing.get_context("spawn")


def at_once(work: Callable[..., None], calls: Iterable[tuple[Any, ...]]) -> None:
    """Make every call in a process of its own, all at once; raises what any of them raised."""
    calls = list(calls)
    with ProcessPoolExecutor(len(calls), mp_context=SPAWN) as pool:
        for outcome in [pool.submit(work, *call) for call in calls]:
            outcome.result(timeout=120)


def replace_month(url: str, contract: TripContract, month: Month, files: list[Path], started: Path | None) -> None:
    """Load a month from one file after the other."""
    warehouse = open_warehouse(url, load_catalog().zones)
    if started is not None:
        started.touch()
    for path in files:
        warehouse.replace_month(contract, month, ParquetFile(path))


def put_month(url: str, contract: TripContract, month: Month, files: list[Path]) -> None:
    """Put a month from one file after the other into a lake."""
    for path in files:
        open_lake(url, path.parent / "cache", azure=Settings.from_env().azure).put(contract, month, ParquetFile(path))
