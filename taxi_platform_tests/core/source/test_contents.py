"""Bytes decide what a file is, not its name: it is read, or named as what it is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.source import CorruptError, Publication
from taxi_platform.core.source.contents import Contents, identify
from taxi_platform.core.source.inspection import Inspection, inspect

TEXT = "VendorID,lpep_pickup_datetime\n1,2020-11-01 00:00:00\n2,2020-11-02 00:00:00\n"
TABLE = pa.table({"VendorID": [1, 2], "lpep_pickup_datetime": ["2020-11-01", "2020-11-02"]})
NAMES = ["green_tripdata_2020-11.csv", "green_tripdata_2020-11.csv.gz", "green_tripdata_2020-11.parquet"]


def inspect_as(folder: Path, name: str, content: bytes) -> Inspection:
    path = folder / name
    path.write_bytes(content)
    return inspect(path, Publication(f"http://tlc/{name}", len(content)), "green 2020-11")


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    return sink.getvalue()


def zipped(*names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return sink.getvalue()


def tarred() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        info = tarfile.TarInfo("green_tripdata_2020-11.csv")
        info.size = len(TEXT)
        archive.addfile(info, io.BytesIO(TEXT.encode()))
    return sink.getvalue()


def database(folder: Path) -> bytes:
    path = folder / "it.db"
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE t (a)")
    con.close()
    return path.read_bytes()


def written(write: Callable[[pa.Table, io.BytesIO], object]) -> bytes:
    sink = io.BytesIO()
    write(TABLE, sink)
    return sink.getvalue()


READ = {
    "a CSV": (TEXT.encode(), Contents("csv")),
    "a CSV with a mark": (TEXT.encode("utf-8-sig"), Contents("csv")),
    "a packed CSV": (gzip.compress(TEXT.encode()), Contents("csv", is_packed=True)),
    "UTF-16 with a mark": (TEXT.encode("utf-16"), Contents("csv", encoding="utf-16-le")),
    "UTF-16, big end first": (
        "\ufeff".encode("utf-16-be") + TEXT.encode("utf-16-be"),
        Contents("csv", encoding="utf-16-be"),
    ),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), Contents("csv", encoding="utf-16-le")),
    "UTF-16, big end first, without a mark": (TEXT.encode("utf-16-be"), Contents("csv", encoding="utf-16-be")),
    "UTF-32": (TEXT.encode("utf-32"), Contents("csv", encoding="utf-32-le")),
    "packed UTF-16": (gzip.compress(TEXT.encode("utf-16")), Contents("csv", is_packed=True, encoding="utf-16-le")),
    "Parquet": (parquet(), Contents("parquet")),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("content", "expected"), READ.values(), ids=READ)
def test_a_file_is_what_its_bytes_are_whatever_it_is_called(
    tmp_path: Path, name: str, content: bytes, expected: Contents
) -> None:
    (tmp_path / name).write_bytes(content)
    assert identify(tmp_path / name) == expected
    found = inspect_as(tmp_path, name, content)
    assert (found.rows, found.contents) == (2, expected.edition)


FOREIGN = {
    "zip": (zipped("green_tripdata_2020-11.csv"), r"a zip archive \(it holds 'green_tripdata_2020-11.csv'\)"),
    "an Excel workbook": (zipped("[Content_Types].xml", "xl/workbook.xml"), r"a zip archive \(an Excel workbook\)"),
    "bzip2": (bz2.compress(TEXT.encode()), "packed by bzip2"),
    "xz": (lzma.compress(TEXT.encode()), "packed by xz"),
    "zstd": (pa.compress(TEXT.encode(), "zstd", asbytes=True), "packed by zstd"),
    "tar": (tarred(), "a tar archive"),
    "a packed tar": (gzip.compress(tarred()), "a tar archive"),
    "gzip in gzip": (gzip.compress(gzip.compress(TEXT.encode())), "another gzip file packed by gzip"),
    "a packed Parquet": (gzip.compress(parquet()), "a Parquet file packed by gzip"),
    "a web page": (b"  <!DOCTYPE html><html></html>", "a web page came instead of the file"),
    "a web page in UTF-16": ("<html></html>".encode("utf-16"), "a web page came instead of the file"),
    "a packed web page": (gzip.compress(b"<html></html>"), "a web page came instead of the file"),
    "JSON": (b'{"message": "API rate limit exceeded"}', "a JSON document"),
    "a JSON list": (b'\xef\xbb\xbf [{"VendorID": 1}]', "a JSON document"),
    "a text of one line": (b"404: Not Found", "a text came instead of the file: '404: Not Found'"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of Git LFS"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
    "Feather": (written(pyarrow.feather.write_feather), "an Arrow IPC"),
    "an encrypted footer": (b"PARE" + bytes(40) + b"PARE", "whose footer is encrypted"),
    "zeros": (bytes(5_000), "nothing but zeros"),
    "packed zeros": (gzip.compress(bytes(5_000_000)), "nothing but zeros"),
    "noise": (bytes(range(256)) * 20, "neither text nor Parquet"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("content", "message"), FOREIGN.values(), ids=FOREIGN)
def test_what_cannot_be_read_is_named_as_what_it_is_and_nothing_of_it_is_printed(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(CorruptError, match=message) as error:
        inspect_as(tmp_path, name, content)
    assert str(error.value).isprintable()


def test_a_sqlite_database_and_an_orc_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match="a SQLite database"):
        inspect_as(tmp_path, NAMES[0], database(tmp_path))
    with pytest.raises(CorruptError, match="an ORC file"):
        inspect_as(tmp_path, NAMES[0], written(pyarrow.orc.write_table))


def test_zeros_without_end_are_refused_by_their_beginning(tmp_path: Path) -> None:
    path = tmp_path / NAMES[1]
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    with pytest.raises(CorruptError, match="nothing but zeros"):
        inspect(path, Publication("http://tlc/it", path.stat().st_size), "green 2020-11")
