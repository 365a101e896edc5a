"""dlt doing its best on the same file: Arrow reads the CSV in large blocks, and Parquet goes to the destination.

    python -m benchmarks.peers.dlt_pipeline RAW FOLDER duckdb [whole]
    python -m benchmarks.peers.dlt_pipeline RAW FOLDER postgres [whole]    (its URL is in BENCH_POSTGRES_URL)

In blocks, memory does not grow with the month; with `whole` the month is one table, which Arrow parses on all cores.

It fails if the rows did not go the way that was meant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import dlt  # pyright: ignore[reportMissingImports] (only in the peers' environment)
import pyarrow as pa
import pyarrow.csv as pc

from benchmarks.work import tell, work

_TABLE = "yellow_trips"
_BLOCK_BYTES = 16 << 20


def tables(raw: str, *, whole: bool) -> Iterator[pa.Table]:
    """The month as Arrow tables. The flag is told to be text: a block may well hold nothing of it."""
    options = pc.ConvertOptions(column_types={"store_and_fwd_flag": pa.string()})
    blocks = pc.ReadOptions(block_size=_BLOCK_BYTES)
    if whole:
        yield pc.read_csv(raw, read_options=blocks, convert_options=options)
        return
    with pc.open_csv(raw, read_options=blocks, convert_options=options) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])


def main(raw: str, folder: str, kind: str, how: str = "") -> None:
    """Load the month, and see that it went the way that was meant."""
    with work():
        destination = (
            dlt.destinations.duckdb(f"{folder}/dlt.duckdb")
            if kind == "duckdb"
            else dlt.destinations.postgres(os.environ["BENCH_POSTGRES_URL"])
        )
        pipeline = dlt.pipeline("bench", destination=destination, dataset_name="taxi", pipelines_dir=f"{folder}/dlt")
        trips = dlt.resource(tables(raw, whole=how == "whole"), name=_TABLE, write_disposition="replace")
        info = pipeline.run(trips, loader_file_format="parquet")
    done = [job.job_file_info for package in info.load_packages for job in package.jobs["completed_jobs"]]
    formats = {it.file_format for it in done if it.table_name == _TABLE}
    if formats != {"parquet"}:  # dlt has no other way for Parquet into PostgreSQL than ADBC
        raise SystemExit(f"dlt has loaded {formats} instead of Parquet: is adbc-driver-postgresql installed?")
    tell(rows=pipeline.last_trace.last_normalize_info.row_counts[_TABLE])


if __name__ == "__main__":
    main(*sys.argv[1:])
