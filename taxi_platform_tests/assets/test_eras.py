"""The whole chain for every way TLC ever laid a file out, as one process makes it: every row is accounted for."""

from pathlib import Path

import pyarrow as pa
import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_parquet_month
from taxi_platform_tests.assets.platform import ALL_PASS, Platform, check_of, checks_of, metadata_of

ROWS = 300
REAL = Path(__file__).parents[1] / "real"
CATALOG = load_catalog()
ERAS = [
    (contract.dataset, str(layout.since))
    for contract in CATALOG.trips.values()
    for layout in contract.layouts
    if layout.format == "csv"
]
#: A Parquet month of each dataset after the last of TLC's catalogue, which would miss rows in a month of so few.
PARQUET = [(dataset, "2025-01") for dataset in CATALOG.trips]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    return Platform(tmp_path_factory.mktemp("platform") / "data", sample_rows=ROWS)


@pytest.mark.parametrize(("dataset", "month"), ERAS)
def test_a_csv_month_of_every_era_goes_from_source_to_table(platform: Platform, dataset: str, month: str) -> None:
    result = platform.run(f"{dataset}_trips_job", month)

    assert checks_of(result) == ALL_PASS
    assert metadata_of(result, "warehouse", f"{dataset}_trips")["edition"] == "csv"
    assert_conserved(platform, dataset, month)


def test_the_months_of_all_eras_are_in_one_table_of_one_schema(platform: Platform) -> None:
    for dataset, contract in CATALOG.trips.items():
        months = [month for name, month in ERAS if name == dataset]
        for month in months:
            bring(platform, dataset, month)
        counts = dict(
            platform.sql(f"SELECT strftime(source_month, '%Y-%m'), count(*) FROM taxi.{dataset}_trips GROUP BY ALL")
        )
        assert counts == {month: platform.parquet("cleaned", dataset, month).rows for month in months}
        schemas = {str(platform.parquet("cleaned", dataset, month).schema.remove_metadata()) for month in months}
        assert schemas == {str(contract.arrow_schema)}


@pytest.mark.parametrize(("dataset", "month"), ERAS)
def test_a_month_of_every_era_can_be_loaded_as_it_was_published_and_as_it_is_now(
    platform: Platform, dataset: str, month: str
) -> None:
    bring(platform, dataset, month)
    contract = CATALOG.trips[dataset]

    published = platform.load("raw", dataset, month, pa.Table)

    header = contract.layout_of(contract.month(month), "csv").header
    assert published.num_rows == ROWS
    assert tuple(published.column_names[1 : 1 + len(header)]) == header
    for layer in ("cleaned", "lake", "warehouse"):
        loaded = platform.load(layer, dataset, month, pa.Table)
        assert loaded.column_names == [column.name for column in contract.table_columns]
        assert loaded.num_rows == platform.parquet("cleaned", dataset, month).rows


@pytest.mark.parametrize(("dataset", "month"), PARQUET)
def test_a_parquet_month_of_every_dataset_goes_from_source_to_table(tmp_path: Path, dataset: str, month: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    path = source / f"{dataset}_tripdata_{month}.parquet"
    write_parquet_month(CATALOG.trips[dataset], Month.parse(month), ROWS, path)
    platform = Platform(tmp_path / "data", source=str(source), sample_rows=ROWS)

    result = platform.run(f"{dataset}_trips_job", month)

    assert checks_of(result) == ALL_PASS
    assert metadata_of(result, "warehouse", f"{dataset}_trips")["edition"] == "parquet"
    assert "the catalogue does not have the month" in str(check_of(result, "row_count_as_published").description)
    assert_conserved(platform, dataset, month)


@pytest.mark.parametrize("name", ["yellow_2009-01", "green_2013-09", "fhv_2015-01", "fhvhv_2019-03"])
def test_the_first_rows_tlc_ever_wrote_of_a_dataset_go_from_source_to_table(tmp_path: Path, name: str) -> None:
    dataset, month = name.split("_")
    platform = Platform(tmp_path / "data", source=str(REAL))
    head = REAL / f"{dataset}_tripdata_{month}.csv"

    result = platform.run(f"{dataset}_trips_job", month)

    rows = [line for line in head.read_bytes().splitlines()[1:] if line]
    assert metadata_of(result, "raw", f"{dataset}_trips")["dagster/partition_row_count"] == len(rows)
    assert_conserved(platform, dataset, month, len(rows))


def bring(platform: Platform, dataset: str, month: str) -> None:
    """See that a month is there, whichever test comes first."""
    if not platform.parquet("cleaned", dataset, month).path.exists():
        platform.run(f"{dataset}_trips_job", month)


def assert_conserved(platform: Platform, dataset: str, month: str, published: int = ROWS) -> None:
    in_table = f"SELECT count(*) FROM taxi.{dataset}_trips WHERE source_month = DATE '{month}-01'"
    [(rows,)] = platform.sql(in_table)
    assert rows + platform.parquet("quarantine", dataset, month).rows == published
    assert rows > published / 2
