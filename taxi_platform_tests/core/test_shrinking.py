"""A month that is not there any more, or mostly not, is found: by the lake, and by TLC's own catalogue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import RuleAction
from taxi_platform.core.catalog.published import TLC_FILES, published_rows
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile, copy_options
from taxi_platform.core.rejects import Rejects
from taxi_platform.core.shrinking import LEAST_BESIDE, month_has_not_shrunk, rows_beside
from taxi_platform.core.source.files import Wanted
from taxi_platform.core.source.source import web_candidates
from taxi_platform_tests.core.test_findings import LINEAGE, never_asked

MOST_REJECTED = Rejects(by_rule={"unreadable": 700}, by_contract=700, columns=(), no_rows=0, line="")


def in_lake(folder: Path, lineage: Lineage) -> ParquetFile:
    """An object made of that many rows."""
    path = folder / "held.parquet"
    with engine.connect(folder) as con:
        con.execute(f"COPY (FROM range({lineage.rows_cleaned})) TO {engine.literal(str(path))} {copy_options(lineage)}")
    return ParquetFile(path)


def of_rows(rows: int, **changes: object) -> Lineage:
    """Another file than the one in the lake, of which every row is kept."""
    made = replace(LINEAGE, source_sha256="cd" * 32, rows_in=rows, rows_cleaned=rows, rows_quarantined=0)
    return replace(made, **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("rows", "holds"), [(1_000, True), (500, True), (499, False), (1, False), (0, False)])
def test_a_file_with_less_than_half_the_rows_of_the_version_in_the_lake_is_told_with_both_figures(
    rows: int, holds: bool, tmp_path: Path
) -> None:
    found = month_has_not_shrunk(of_rows(rows), in_lake(tmp_path, LINEAGE), None, never_asked)

    assert found.holds is holds
    assert f"{rows:,} rows in the source file against 1,000 in that of the version in the lake" in found.says
    assert found.figures["rows in the source file"] == rows
    assert found.figures["rows in the source file in that of the version in the lake"] == 1_000


def test_a_file_without_rows_is_refused_in_a_first_month_too() -> None:
    found = month_has_not_shrunk(of_rows(0), None, None, never_asked)

    assert not found.holds
    assert found.says.startswith("the source file has no rows. The lake and the table keep what they have")
    assert "ops: {clean_yellow_trips: {config: {fewer_rows_are_meant: true}}}" in found.says


def test_a_file_of_as_many_rows_of_which_most_are_turned_away_has_shrunk_too(tmp_path: Path) -> None:
    now = of_rows(1_000, rows_cleaned=300, rows_quarantined=700)
    found = month_has_not_shrunk(now, in_lake(tmp_path, LINEAGE), None, lambda: MOST_REJECTED)

    assert not found.holds
    assert found.says.startswith("300 rows cleaned against 990 in the lake; turned away by unreadable 700. The lake")


def test_rows_that_a_run_turns_away_on_purpose_are_no_loss(tmp_path: Path) -> None:
    strict = {**LINEAGE.rules, "nonpositive_distance": RuleAction.REJECT}
    now = of_rows(1_000, rows_cleaned=300, rows_quarantined=700, rules=strict)
    assert month_has_not_shrunk(now, in_lake(tmp_path, LINEAGE), None, never_asked).holds


@pytest.mark.parametrize("rows", [0, 10])
def test_what_is_meant_passes_and_still_says_both_figures(rows: int, tmp_path: Path) -> None:
    found = month_has_not_shrunk(
        of_rows(rows, fewer_rows_are_meant=True), in_lake(tmp_path, LINEAGE), None, never_asked
    )
    assert found.holds
    assert f"{rows} rows in the source file against 1,000" in found.says
    assert found.says.endswith("the run was told that this is meant")


def test_what_was_meant_once_need_not_be_said_again_of_the_same_file_and_has_to_be_of_another(tmp_path: Path) -> None:
    meant = of_rows(0, fewer_rows_are_meant=True)
    held = in_lake(tmp_path, meant)

    assert month_has_not_shrunk(of_rows(0), held, None, never_asked).holds
    assert not month_has_not_shrunk(of_rows(0, source_sha256="ef" * 32), held, None, never_asked).holds


def test_an_object_somebody_else_put_into_the_lake_is_a_measure_by_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "theirs.parquet"
    pq.write_table(pa.table({"x": range(1_000)}), path)
    found = month_has_not_shrunk(of_rows(10), ParquetFile(path), None, never_asked)

    assert not found.holds
    assert found.says.startswith("10 rows cleaned against 1,000 in the lake")


def test_tlcs_own_file_is_measured_by_tlcs_catalogue_and_an_extract_under_its_name_is_not() -> None:
    parquet = {"edition": "parquet"}
    cut = of_rows(400, source_url=f"{TLC_FILES}trip-data/yellow_tripdata_2021-01.parquet", **parquet)
    extract = of_rows(400, source_url="file:///extracts/yellow_tripdata_2021-01.parquet", **parquet)

    found = month_has_not_shrunk(cut, None, 1_000, never_asked)
    assert not found.holds
    assert found.says.startswith("400 rows in the source file against 1,000 in TLC's catalogue")
    assert month_has_not_shrunk(extract, None, 1_000, never_asked).holds
    assert month_has_not_shrunk(replace(cut, rows_in=990), None, 1_000, never_asked).holds


def test_tlcs_own_files_are_those_that_the_source_fetches_from_tlc() -> None:
    wanted = Wanted("yellow 2024-01", "yellow", "2024-01", ("yellow_tripdata_2024-01.parquet",))
    assert any(url.startswith(TLC_FILES) for url in web_candidates(wanted))


def test_no_month_that_tlc_has_published_is_so_few_beside_its_neighbours() -> None:
    for dataset in ("yellow", "green", "fhv", "fhvhv"):
        for month in Month(2009, 1).until(Month(2024, 5)):
            beside = [rows for it in (month.previous, month.next) if (rows := published_rows(dataset, it))]
            rows = published_rows(dataset, month)
            assert rows is None or not beside or rows >= LEAST_BESIDE * min(beside), f"{dataset} {month}"


def test_a_month_is_compared_with_those_on_both_sides_or_with_what_tlc_published_of_tlc_s_own() -> None:
    near = {month: of_rows(rows) for month, rows in ((Month(2021, 4), 500), (Month(2021, 6), 400))}
    assert rows_beside(Month(2021, 5), LINEAGE, near) == 400
    assert rows_beside(Month(2021, 3), LINEAGE, near) == 500
    elsewhere = replace(LINEAGE, source_url="file:///a.csv")
    assert rows_beside(Month(2018, 3), elsewhere, {}) is None
    assert month_has_not_shrunk(of_rows(8), None, None, never_asked, 400).holds
    assert not month_has_not_shrunk(of_rows(7), None, None, never_asked, 400).holds
    assert month_has_not_shrunk(of_rows(1), None, None, never_asked, 99).holds, "so few are nobody's measure"
    assert not month_has_not_shrunk(of_rows(1), None, None, never_asked, 100).holds
