"""Counting the rows of a file: independently of how it is later read, and right whatever its lines end with."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxi_platform.core.source import CorruptError, Publication, text
from taxi_platform.core.source.inspection import Inspection, inspect
from taxi_platform_tests.disks import nobodys_folder, without_privileges

MIB = 1 << 20


def inspect_bytes(folder: Path, content: bytes, name: str = "green_tripdata_2020-04.csv") -> Inspection:
    path = folder / name
    path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return inspect(path, Publication(f"http://tlc/{name}", path.stat().st_size), "green 2020-04")


COUNTS = {
    "LF": (b"a,b\n1,2\n3,4\n", 2),
    "CRLF": (b"a,b\r\n1,2\r\n3,4\r\n", 2),
    "a mixture": (b"a,b\n1,2\r\n3,4\n", 2),
    "no newline at the end": (b"a,b\n1,2\n3,4", 2),
    "a carriage return alone at the end": (b"a,b\n1,2\n3,4\r", 2),
    "a blank line after the header": (b"a,b\n\n1,2\n3,4\n", 2),
    "a blank line after the header, CRLF": (b"a,b\r\n\r\n1,2\r\n3,4\r\n", 2),
    "a blank line in the middle": (b"a,b\n1,2\n\n3,4\n", 2),
    "several blank lines in the middle": (b"a,b\r\n1,2\r\n\r\n\r\n\r\n3,4\r\n", 2),
    "blank lines at the end": (b"a,b\n1,2\n3,4\n\n\n", 2),
    "blank lines at the end, CRLF": (b"a,b\r\n1,2\r\n3,4\r\n\r\n\r\n", 2),
    "a blank line before the header": (b"\na,b\n1,2\n3,4\n", 2),
    "a carriage return alone on the last line": (b"a,b\n1,2\n3,4\n\r", 2),
    "the header only": (b"a,b\n", 0),
    "the header only, without a newline": (b"a,b", 0),
    "the header and blank lines": (b"a,b\r\n\r\n\r\n", 0),
    "a row of commas": (b"a,b\n,\n", 1),
    "a row of a blank": (b"a\n \n", 1),
}


@pytest.mark.parametrize("name", ["green_tripdata_2020-04.csv", "green_tripdata_2020-04.csv.gz"])
@pytest.mark.parametrize(("content", "rows"), COUNTS.values(), ids=COUNTS)
def test_rows_are_the_lines_after_the_header_that_are_not_blank(
    tmp_path: Path, content: bytes, rows: int, name: str
) -> None:
    found = inspect_bytes(tmp_path, content, name)
    assert (found.rows, found.encoding) == (rows, "utf-8")


LINES = st.sampled_from(["", "1", "1,2", ",", " ", "é,1", "ÿ", "x" * 50])
ENDS = st.sampled_from(["\n", "\r\n"])


# The folder is shared by the examples: each replaces the file of the one before.
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.tuples(LINES, ENDS)),
    newline_at_end=st.booleans(),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
    chunk=st.sampled_from([1, 2, 3, 7, MIB]),
)
def test_the_count_agrees_with_the_simplest_one(
    tmp_path: Path, lines: list[tuple[str, str]], newline_at_end: bool, encoding: str, chunk: int
) -> None:
    whole = "header,more\n" + "".join(line + end for line, end in lines)
    content = (whole if newline_at_end else whole.rstrip("\r\n")).encode(encoding)
    expected = sum(line.rstrip(b"\r") != b"" for line in content.split(b"\n")) - 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_CHUNK", chunk)  # every border there can be between two reads
        found = inspect_bytes(tmp_path, content)
    assert found.rows == expected
    is_utf8 = content.decode("utf-8", "replace").encode() == content
    assert found.encoding == ("utf-8" if is_utf8 else "latin-1")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("offset", [-3, -2, -1, 0, 1, 2])
def test_a_line_across_the_border_of_two_chunks_is_one_line(tmp_path: Path, end: bytes, offset: int) -> None:
    header = b"a" * 10 + end
    long = b"x" * (MIB + offset - len(header) - len(end)) + end  # ends `offset` bytes from the border
    assert inspect_bytes(tmp_path, header + long + end + b"1,2" + end + end + b"3,4").rows == 3


def test_a_letter_across_the_border_of_two_chunks_is_still_utf8(tmp_path: Path) -> None:
    content = b"a\n" + b"x" * (MIB - 3) + "é\n".encode()
    assert content[MIB - 1 : MIB + 1] == "é".encode()
    found = inspect_bytes(tmp_path, content)
    assert (found.rows, found.encoding) == (1, "utf-8")


def test_a_line_longer_than_several_chunks_is_one_row(tmp_path: Path) -> None:
    assert inspect_bytes(tmp_path, b"a\n" + b"x" * (3 * MIB) + b"\n1\n").rows == 2


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"a\n1\n", "utf-8"),
        ("a\nCafé\n".encode(), "utf-8"),
        (b"a\n\xa0\n", "latin-1"),
        (b"a\n1\n" * MIB + b"\xa0\n" + "é\n".encode(), "latin-1"),
    ],
    ids=["ASCII", "UTF-8", "a latin-1 byte", "a latin-1 byte far into the file"],
)
def test_the_encoding_is_utf8_unless_some_byte_is_not(tmp_path: Path, content: bytes, encoding: str) -> None:
    assert inspect_bytes(tmp_path, content).encoding == encoding


@pytest.mark.parametrize(
    ("content", "cut"),
    [
        (b"a,b\r\n1,2\r\n3,4", "3,4"),
        (b"a,b\r\n1,2", "1,2"),
        (b"a,b\n\r\n1,2\r\n3", "3"),
        (b"a,b\n\n1,2\r\n3,4", "3,4"),
        (b"a,b\r\n\xa0,2\r\n\xa0", "\xa0"),
        (b"a,b\r\n" + b"1,2\r\n" * MIB + b"3", "3"),
        (b"a,b\r\n1,2\r\n3,4\r\n", None),
        (b"a,b\r\n1,2\r\n3,4\r", None),
        (b"a,b\r\n1,2\r\n\r\n", None),
        (b"a,b\n1,2\n3,4", None),
        (b"a,b", None),
        (b"a,b\r\n", None),
    ],
    ids=[
        "a last line without end", "the only row", "after a blank line", "after a bare LF", "latin-1", "a large file",
        "all lines ended", "half an end", "a blank line at the end", "LF", "a header", "an ended header",
    ],
)  # fmt: skip
def test_where_lines_end_with_crlf_a_last_line_without_end_was_cut(
    tmp_path: Path, content: bytes, cut: str | None
) -> None:
    assert inspect_bytes(tmp_path, content).cut_line == cut
    assert inspect_bytes(tmp_path, content, "green_tripdata_2020-04.csv.gz").cut_line == cut


def test_a_gzip_with_a_damaged_block_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2020-04.csv.gz"
    packed = bytearray(gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0))
    packed[10] |= 0b110  # a kind of block there is none of; a flipped bit elsewhere is found by the checksum
    path.write_bytes(packed)
    with pytest.raises(CorruptError, match="the gzip file does not read to its end"):
        inspect(path, Publication(f"http://tlc/{path.name}", len(packed)), "green 2020-04")


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2020-04.csv.gz"
    path.write_bytes(gzip.compress(b"a\n1\n2") + gzip.compress(b"3\n4\n"))
    assert inspect(path, Publication(f"http://tlc/{path.name}"), "green 2020-04").rows == 3


@pytest.mark.parametrize("missing", [1, -1], ids=["short", "long"])
def test_a_file_of_another_size_than_announced_is_corrupt(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "green_tripdata_2020-04.csv"
    path.write_bytes(b"a\n1\n")
    with pytest.raises(CorruptError, match=f"expected {4 + missing} bytes, got 4"):
        inspect(path, Publication(f"http://tlc/{path.name}", 4 + missing), "green 2020-04")


@pytest.mark.parametrize("name", ["green_tripdata_2020-04.csv", "green_tripdata_2020-04.csv.gz"])
def test_a_file_that_the_system_does_not_let_us_read_is_not_called_corrupt(name: str) -> None:
    with nobodys_folder() as folder:
        path = folder / name
        path.write_bytes(gzip.compress(b"a,b\n1,2\n") if name.endswith(".gz") else b"a,b\n1,2\n")
        path.chmod(0)
        with without_privileges(), pytest.raises(PermissionError):
            inspect(path, Publication(f"http://tlc/{name}", path.stat().st_size), "green 2020-04")
