"""One grammar of lines: however a CSV is packed, written and ended, its lines are those that plain Python finds."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from taxi_platform.core.source import text
from taxi_platform.core.source.contents import identify
from taxi_platform.core.source.text import LONGEST_LINE, MOST_FIELDS, UnreadableTextError, examine, plain_blocks

HEADER = "a,b,c"
ROW = "1,2,3"


def lines_by_hand(content: bytes) -> list[str]:
    """What is said in the module's head, in five lines of Python."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    lines: list[bytes] = []
    for ended in content.split(b"\n"):
        line = ended.rstrip(b"\r")
        lines += [line] if line.count(b",") == HEADER.count(",") else line.split(b"\r")
    return [decoded(line) for line in lines if line]


def decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def lines_of(path: Path) -> list[str]:
    found = examine(path, identify(path))
    blocks = list(plain_blocks(path, found.text, found.encoding))
    lines = b"".join(blocks).decode().removesuffix("\n").split("\n")
    assert len(lines) == found.lines
    assert all(block.endswith(b"\n") for block in blocks)
    if found.text.is_plain:  # then DuckDB reads the bytes themselves
        content = gzip.decompress(path.read_bytes()) if found.text.is_packed else path.read_bytes()
        whole = content.decode("utf-8-sig").replace("\r\n", "\n")
        assert whole.removesuffix("\n").split("\n") == lines
    return lines


pieces = st.sampled_from(
    [ROW, ROW, ROW, "", "1,2", "1,\xe9,3", "1,x\ry,3", '"1",2,3', "1,2,3,4", "\r", " ", "\x85,1,2"]
)
ends = st.sampled_from(["\n", "\r\n", "\r", "\r\r\n", "\n\n"])


# The folder is shared by the examples: each replaces the file of the one before.
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.tuples(pieces, ends), max_size=12),
    filler=st.sampled_from([0, 0, 250]),
    header_end=ends,
    is_ended=st.booleans(),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
    chunk=st.sampled_from([1, 2, 3, 5, 7, 1 << 20]),
)
@example([(ROW, "\r")] * 3, 0, "\r", False, b"", "utf-8", 1)
@example([(ROW, "\r")] * 3, 250, "\n", True, b"", "utf-8", 7)
@example([("1,\xe9,3", "\n")], 250, "\n", True, b"\xef\xbb\xbf", "latin-1", 3)
def test_the_lines_of_any_text_are_those_that_plain_python_finds(
    tmp_path: Path,
    lines: list[tuple[str, str]],
    filler: int,
    header_end: str,
    is_ended: bool,
    mark: bytes,
    encoding: str,
    chunk: int,
) -> None:
    end = lines[0][1] if lines else header_end
    body = "".join(line + end for line, end in [*[(ROW, end)] * filler, *lines])
    content = mark + (HEADER + header_end + (body if is_ended else body.rstrip("\r\n"))).encode(encoding)
    path = tmp_path / "it.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_CHUNK", chunk)  # every border there can be between two reads
        assert lines_of(path) == lines_by_hand(content)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_wide_text_has_the_same_lines(tmp_path: Path, encoding: str, end: str) -> None:
    lines = [HEADER, *[ROW] * 500, "1,\u20ac\U0001f695,3"]
    path = tmp_path / "it.csv"
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    assert lines_of(path) == lines


def test_wide_text_that_breaks_off_in_a_letter_or_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.csv"
    path.write_bytes((HEADER + "\n" + ROW).encode("utf-16") + "\ud800".encode("utf-16-le", "surrogatepass") + b"a\0b\0")
    with pytest.raises(UnreadableTextError, match="not utf-16-le throughout"):
        examine(path, identify(path))


@pytest.mark.parametrize("end", [b"\n", b"\r"], ids=["LF", "CR"])
def test_a_line_may_be_long_and_not_longer_than_is_said(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "it.csv"
    header = HEADER.encode() + end
    path.write_bytes(header + b"1,2," + b"x" * (LONGEST_LINE - 4) + end + ROW.encode() + end)
    assert examine(path, identify(path)).lines == 3
    path.write_bytes(header + b"1,2," + b"x" * (LONGEST_LINE - 3) + end + ROW.encode() + end)
    with pytest.raises(UnreadableTextError, match=r"more than 4,194,304 bytes"):
        examine(path, identify(path))


def test_a_header_may_have_many_names_and_not_more_than_is_said(tmp_path: Path) -> None:
    path = tmp_path / "it.csv"
    path.write_text("x," * (MOST_FIELDS - 1) + "x\n")
    assert examine(path, identify(path)).lines == 1
    path.write_text("x," * MOST_FIELDS + "x\n")
    with pytest.raises(UnreadableTextError, match="its header has 1,501 names"):
        examine(path, identify(path))


@pytest.mark.parametrize(
    ("first", "unit"),
    [
        (HEADER + "\r", ROW + "\r"),
        (HEADER + "\n", ROW + "\r"),
        (HEADER + "\n", "x" * 100),
        (HEADER + "\n\n", ROW + "\r\n"),
    ],
    ids=["CR", "LF, then CR", "one line", "a blank line"],
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, first: str, unit: str) -> None:
    path = tmp_path / "it.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(first.encode())
        for _ in range(64):
            file.write(unit.encode() * ((1 << 20) // len(unit)))
    tracemalloc.start()
    try:
        examine(path, identify(path))
    except UnreadableTextError:
        assert unit.startswith("x")
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 40 << 20
