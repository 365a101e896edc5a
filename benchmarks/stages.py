"""Each stage of the platform alone: imports first, then the real code path, once, under the clock.

    python -m benchmarks.stages clean MADE WORK
    python -m benchmarks.stages lake MADE WORK
    python -m benchmarks.stages duckdb MADE WAREHOUSE
    python -m benchmarks.stages postgres MADE        (the database's URL is in BENCH_POSTGRES_URL)
    python -m benchmarks.stages checks MADE WORK

`MADE` is a folder of `benchmarks.prepare`.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from benchmarks.months import LATEST, YELLOW, ZONES, Made
from benchmarks.work import work
from taxi_platform.core import findings, trends, verifying
from taxi_platform.core.catalog.published import published_rows
from taxi_platform.core.cleaning import clean
from taxi_platform.core.lake.folder import FolderLake
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.rejects import rejects
from taxi_platform.core.shrinking import month_has_not_shrunk
from taxi_platform.core.warehouse.duckdb import DuckDBWarehouse
from taxi_platform.core.warehouse.zone_totals import zone_view_matches_table


def clean_month(made: Made, folder: Path) -> None:
    """The raw file to cleaned and quarantined rows."""
    raw = made.raw
    with work():
        result = clean(YELLOW, LATEST, raw, YELLOW.actions({}), folder)
    _expect(raw.rows, result.cleaned.rows + result.quarantine.rows)


def put_into_lake(made: Made, folder: Path) -> None:
    """The cleaned file into a folder lake, and its check; as in a run, each looks at the files for itself."""
    lake = FolderLake(folder / "lake")
    with work():
        lake.put(YELLOW, LATEST, ParquetFile(made.cleaned))
        finding = findings.lake_matches_cleaned(ParquetFile(made.cleaned), lake.get(YELLOW, LATEST))
    _expect_holds(finding)


def replace_in_duckdb(made: Made, warehouse: Path) -> None:
    """A month in a DuckDB table that holds it already."""
    store = DuckDBWarehouse(warehouse, ZONES)
    with work():
        written = store.replace_month(YELLOW, LATEST, ParquetFile(made.cleaned))
    _expect(ParquetFile(made.cleaned).rows, written)


def replace_in_postgres(made: Made) -> None:
    """A month in a PostgreSQL table that holds it already."""
    from taxi_platform.core.warehouse.postgres import PostgresWarehouse

    store = PostgresWarehouse(os.environ["BENCH_POSTGRES_URL"], ZONES)
    with work():
        written = store.replace_month(YELLOW, LATEST, ParquetFile(made.cleaned))
    _expect(ParquetFile(made.cleaned).rows, written)


def check_month(made: Made, folder: Path) -> None:
    """Every check of a run but the lake's, which is measured with the lake."""
    raw, store = made.raw, DuckDBWarehouse(made.warehouse, ZONES)
    with work():
        cleaned, quarantine = ParquetFile(made.cleaned), ParquetFile(made.quarantine)
        why = partial(rejects, YELLOW, quarantine, folder)
        profiled = findings.profile(YELLOW, LATEST, cleaned, folder)
        in_view = store.measure_zone_view(YELLOW, LATEST)
        found = [
            findings.rows_are_conserved(raw, cleaned, quarantine),
            findings.schema_matches_contract(YELLOW, cleaned),
            findings.required_values_present(profiled, raw.rows, why),
            month_has_not_shrunk(cleaned.lineage, None, None, why),
            findings.file_is_plain(cleaned.lineage),
            findings.known_columns_only(cleaned, folder),
            findings.known_codes_only(profiled),
            findings.pickups_inside_month(profiled),
            trends.rejects_within_expectation(YELLOW, cleaned.lineage, [], why),
            trends.row_count_as_published(raw, published_rows(YELLOW.dataset, LATEST)),
            trends.row_count_in_trend(cleaned.lineage, []),
            verifying.table_matches_lake(YELLOW, LATEST, store, cleaned, folder, anew=False),
            zone_view_matches_table(YELLOW, in_view, store.measure_month(YELLOW, LATEST, {"total_amount"})),
        ]
    _expect_holds(*found)


def _expect(expected: int, found: int) -> None:
    if found != expected:
        raise SystemExit(f"{found:,} rows instead of {expected:,}")


def _expect_holds(*found: findings.Finding) -> None:
    if broken := [it.says for it in found if not it.holds]:
        raise SystemExit(f"does not hold: {broken}")


def main(arguments: list[str]) -> None:
    """Do what was asked."""
    match arguments:
        case ["clean", made, folder]:
            clean_month(Made(Path(made)), Path(folder))
        case ["lake", made, folder]:
            put_into_lake(Made(Path(made)), Path(folder))
        case ["duckdb", made, warehouse]:
            replace_in_duckdb(Made(Path(made)), Path(warehouse))
        case ["postgres", made]:
            replace_in_postgres(Made(Path(made)))
        case ["checks", made, folder]:
            check_month(Made(Path(made)), Path(folder))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
