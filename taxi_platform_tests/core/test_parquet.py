"""A month's Parquet file says what it holds and where its rows came from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import RuleAction
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.parquet import Lineage, ParquetFile, copy_options, read_footer

LINEAGE = Lineage(
    dataset="green",
    month="2020-11",
    source_url='https://example.com/it\'s {here}/green_tripdata_2020-11.csv.gz?a="b"&c=\\d',
    source_sha256="ab" * 32,
    edition="csv",
    contract_version="0123456789ab",
    rules={"unreadable": RuleAction.REJECT, "negative_total": RuleAction.WARN, "duplicate_row": RuleAction.OFF},
    rows_in=5,
    rows_cleaned=3,
    rows_quarantined=2,
    unknown_columns={'it\'s "new", é': "STRUCT(x BIGINT)"},
)


def written(folder: Path, rows: int = 3) -> ParquetFile:
    path = folder / "it's a month.parquet"
    with engine.connect(folder) as con:
        con.execute(f"COPY (FROM range({rows})) TO {engine.literal(str(path))} {copy_options(LINEAGE)}")
    return ParquetFile(path)


def test_lineage_comes_back_from_json_as_it_went() -> None:
    assert Lineage.from_json(LINEAGE.to_json()) == LINEAGE
    assert all(isinstance(action, RuleAction) for action in Lineage.from_json(LINEAGE.to_json()).rules.values())


def test_lineage_travels_in_the_file_whatever_characters_it_has(tmp_path: Path) -> None:
    assert written(tmp_path).lineage == LINEAGE


def test_a_file_tells_its_rows_size_and_hash(tmp_path: Path) -> None:
    file = written(tmp_path)

    assert file.rows == 3
    assert file.bytes == file.path.stat().st_size
    assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
    assert file.uri == str(file.path)
    assert ParquetFile(file.path, uri="gs://bucket/x.parquet").uri == "gs://bucket/x.parquet"


def test_a_file_is_compressed_with_zstd(tmp_path: Path) -> None:
    assert pq.read_metadata(written(tmp_path).path).row_group(0).column(0).compression == "ZSTD"


def test_a_file_without_rows_still_tells_its_lineage(tmp_path: Path) -> None:
    file = written(tmp_path, rows=0)

    assert (file.rows, file.lineage) == (0, LINEAGE)


def test_a_file_the_platform_did_not_write_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"a": [1]}), path)

    with pytest.raises(TaxiPlatformError, match="does not say where its rows came from") as error:
        _ = ParquetFile(path, uri="gs://bucket/foreign.parquet").lineage
    assert "gs://bucket/foreign.parquet" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"<html></html>"])
def test_what_is_no_parquet_file_has_no_footer(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.parquet"
    path.write_bytes(content)

    with pytest.raises(pa.ArrowInvalid):
        read_footer(path)


def test_half_a_parquet_file_has_no_footer(tmp_path: Path) -> None:
    path = written(tmp_path).path
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(pa.ArrowInvalid):
        read_footer(path)
