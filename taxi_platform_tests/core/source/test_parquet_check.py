"""A Parquet file is verified to its last page: damage is refused before the file is published."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source import CorruptError, Publication
from taxi_platform.core.source.contents import DamagedParquetError
from taxi_platform.core.source.inspection import inspect
from taxi_platform.core.source.parquet_check import verify_parquet
from taxi_platform.core.source.sample import write_parquet_month
from taxi_platform_tests.core.cleaning.months import REAL_DATA

#: TLC's own files: those of 2011 to 2023-01 have a CRC-32 in each page.
WITH_CRC = ["green_tripdata_2020-04.parquet", "green_tripdata_2021-01.parquet", "green_tripdata_2023-01.parquet"]
WITHOUT_CRC = ["green_tripdata_2023-03.parquet", "green_tripdata_2024-01.parquet", "green_tripdata_2025-01.parquet"]


def like_tlc(rows: int = 3_000, **options: Any) -> bytes:
    """A month as TLC wrote its Parquet of 2011 to 2023-01: packed by gzip, each page with a checksum."""
    sink = io.BytesIO()
    made = {"compression": "gzip", "write_page_checksum": True, "use_dictionary": True, **options}
    pq.write_table(month(rows), sink, **made)
    return sink.getvalue()


def month(rows: int) -> pa.Table:
    dice = random.Random(5)
    times = [datetime(2021, 1, 1 + dice.randrange(31), dice.randrange(24), dice.randrange(60)) for _ in range(rows)]
    return pa.table(
        {
            "VendorID": [1 + dice.randrange(2) for _ in range(rows)],
            "lpep_pickup_datetime": pa.array(times, pa.timestamp("us")),
            "store_and_fwd_flag": [dice.choice(["Y", "N", None]) for _ in range(rows)],
            "passenger_count": [dice.choice([1.0, 2.0, None]) for _ in range(rows)],
            "total_amount": [round(dice.uniform(-5, 90), 2) for _ in range(rows)],
        }
    )


def with_a_bit_flipped(content: bytes, at: int, bit: int) -> bytes:
    flipped = bytearray(content)
    flipped[at] ^= 1 << bit
    return bytes(flipped)


def loaded(path: Path) -> pa.Table:
    """What DuckDB, which looks at no checksum, makes of a file."""
    with duckdb.connect(config={"threads": 1}) as con:
        return con.sql(f"SELECT * FROM read_parquet('{path}')").to_arrow_table()


def outcomes(content: bytes, flips: int, seed: int, folder: Path, places: Callable[[random.Random], int]) -> list[str]:
    """What becomes of a file each time one of its bits is flipped: `refused`, `equal`, or `wrong`."""
    path, dice, found = folder / "it.parquet", random.Random(seed), list[str]()
    path.write_bytes(content)
    expected = loaded(path)
    for _ in range(flips):
        path.write_bytes(with_a_bit_flipped(content, places(dice), dice.randrange(8)))
        try:
            verify_parquet(path)
            table = loaded(path)
        except (DamagedParquetError, duckdb.Error):
            found.append("refused")
            continue
        found.append("equal" if table.schema.equals(expected.schema) and table.equals(expected) else "wrong")
    return found


@pytest.mark.parametrize("flips", [300, pytest.param(2_000, marks=pytest.mark.campaign)])
def test_of_many_single_bits_flipped_where_pages_carry_checksums_none_is_loaded_as_another_value(
    tmp_path: Path, flips: int
) -> None:
    content = like_tlc()
    found = outcomes(content, flips, 1, tmp_path, lambda dice: dice.randrange(len(content)))
    assert found.count("wrong") == 0
    assert found.count("refused") > flips / 2


@pytest.mark.parametrize("name", WITH_CRC)
def test_of_single_bits_flipped_in_tlcs_own_files_with_checksums_none_is_loaded_as_another_value(
    name: str, tmp_path: Path
) -> None:
    content = real(name)
    found = outcomes(content, 60, 2, tmp_path, lambda dice: dice.randrange(len(content)))
    assert found.count("wrong") == 0


@pytest.mark.parametrize("name", WITH_CRC + WITHOUT_CRC)
def test_a_bit_flipped_in_the_footer_of_any_of_tlcs_files_changes_nothing_unnoticed(name: str, tmp_path: Path) -> None:
    content = real(name)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    found = outcomes(content, 80, 3, tmp_path, lambda dice: dice.randrange(footer, len(content)))
    assert found.count("wrong") == 0


@pytest.mark.parametrize("name", WITH_CRC + WITHOUT_CRC)
def test_tlcs_own_files_are_whole(name: str) -> None:
    content = real(name)
    path = REAL_DATA / "trips" / name
    found = inspect(path, Publication(path.as_uri(), len(content)), "green")
    assert (found.rows, found.contents) == (pq.read_metadata(path).num_rows, "parquet")


def real(name: str) -> bytes:
    path = REAL_DATA / "trips" / name
    if not path.exists():
        pytest.skip("the real files are not here")
    return path.read_bytes()


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_page_with_a_checksum_that_is_not_its_own_is_refused(compression: str, version: str, tmp_path: Path) -> None:
    content = like_tlc(compression=compression, data_page_version=version, use_dictionary=False)
    found = outcomes(content, 60, 4, tmp_path, lambda dice: dice.randrange(200, len(content) // 2))
    assert found.count("wrong") == 0
    assert found.count("refused") > 40


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.999])
def test_a_file_whose_middle_was_never_written_is_refused(keep: float, tmp_path: Path) -> None:
    content = like_tlc()
    hole = range(int(len(content) * keep * 0.9), int(len(content) * 0.95))
    path = tmp_path / "green_tripdata_2021-01.parquet"
    path.write_bytes(content[: hole.start] + bytes(len(hole)) + content[hole.stop :])
    with pytest.raises(CorruptError, match="the Parquet file is damaged or cannot be read"):
        inspect(path, Publication(path.as_uri(), len(content)), "green 2021-01")


def test_a_value_beyond_what_the_statistics_say_is_refused_where_pages_have_no_checksum(tmp_path: Path) -> None:
    sink = io.BytesIO()
    table = pa.table({"VendorID": pa.array([1, 2, 1, 2] * 100, pa.int32())})
    pq.write_table(table, sink, compression="none", use_dictionary=False)
    content = sink.getvalue()
    values = content.index((1).to_bytes(4, "little") + (2).to_bytes(4, "little"))
    path = tmp_path / "it.parquet"
    path.write_bytes(with_a_bit_flipped(content, values + 8, 6))  # a vendor 65
    with pytest.raises(DamagedParquetError, match=r"the maximum of column VendorID .* is 65, and its statistics say 2"):
        verify_parquet(path)


def test_metadata_that_another_program_left_behind_is_no_damage(tmp_path: Path) -> None:
    table = pa.table({"VendorID": [1], "gone": [2]})
    frame = pa.Table.from_pandas(table.to_pandas())
    path = tmp_path / "it.parquet"
    pq.write_table(frame.drop_columns(["gone"]), path)  # pandas' metadata still names it
    assert verify_parquet(path) == 1
    with duckdb.connect() as con:
        con.sql("SELECT 1 AS a, 'x' AS b").write_parquet(str(path))
    assert verify_parquet(path) == 1


@pytest.mark.parametrize("rows", [0, 1, 50_000])
def test_a_generated_month_of_every_dataset_is_whole(rows: int, tmp_path: Path) -> None:
    for contract in load_catalog().trips.values():
        path = tmp_path / f"{contract.dataset}.parquet"
        write_parquet_month(contract, Month.parse("2024-01"), rows, path)
        assert verify_parquet(path) == rows


def test_a_file_with_an_encrypted_column_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "it.parquet"
    made = subprocess.run([sys.executable, "-c", _ENCRYPTING, str(path)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"pyarrow cannot encrypt here: {made.stderr[-200:]}")
    child = [sys.executable, "-c", "import sys; from pathlib import Path; from taxi_platform.core.source.parquet_check"]
    child[-1] += " import verify_parquet; verify_parquet(Path(sys.argv[1]))"
    told = subprocess.run([*child, str(path)], capture_output=True, text=True)
    assert told.returncode == 1  # a process of its own: asked for in another order, it would be killed
    assert "DamagedParquetError" in told.stderr


_ENCRYPTING = """
import base64, sys
import pyarrow as pa, pyarrow.parquet as pq, pyarrow.parquet.encryption as pe
class Keys(pe.KmsClient):
    def __init__(self, config): super().__init__()
    def wrap_key(self, key, name): return base64.b64encode(key)
    def unwrap_key(self, key, name): return base64.b64decode(key)
config = pe.EncryptionConfiguration(footer_key="f", column_keys={"c": ["total_amount"]}, plaintext_footer=True)
made = pe.CryptoFactory(lambda it: Keys(it)).file_encryption_properties(pe.KmsConnectionConfig(), config)
table = pa.table({"VendorID": [1, 2], "total_amount": [1.5, 2.5]})
with pq.ParquetWriter(sys.argv[1], table.schema, encryption_properties=made) as writer:
    writer.write_table(table)
"""


def test_a_time_beyond_what_the_statistics_say_is_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    times = pa.array([datetime(2021, 1, 1 + day) for day in range(28)] * 20, pa.timestamp("us"))
    pq.write_table(pa.table({"t": times}), sink, compression="none", use_dictionary=False)
    content = sink.getvalue()
    at = content.index(times.cast(pa.int64())[5].as_py().to_bytes(8, "little"))
    path = tmp_path / "it.parquet"
    path.write_bytes(with_a_bit_flipped(content, at + 6, 2))
    with pytest.raises(DamagedParquetError, match="imum of column t of row group 0"):
        verify_parquet(path)


@pytest.mark.parametrize("options", [{"coerce_timestamps": "us"}, {"coerce_timestamps": "ms"}, {"version": "1.0"}, {}])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_of_any_unit_and_zone_are_whole(options: Any, unit: Any, zone: Any, tmp_path: Path) -> None:
    path = tmp_path / "it.parquet"
    times = pa.array([datetime(2021, 1, 1), None, datetime(2021, 7, 1)], pa.timestamp(unit, zone))
    pq.write_table(pa.table({"t": times}), path, **options)
    assert verify_parquet(path) == 3
