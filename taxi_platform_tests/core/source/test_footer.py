"""A Parquet file's rows are told by its last bytes, wherever it lies; what cannot tell them is no error."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.source import Publication
from taxi_platform.core.source.footer import rows_in_footer
from taxi_platform_tests.core.source.server import Answer, Server, StoredFile


def parquet(path: Path, columns: int = 3) -> bytes:
    pq.write_table(pa.table({f"column_{it}": list(range(70_000)) for it in range(columns)}), path)
    return path.read_bytes()


@pytest.mark.parametrize("columns", [1, 400])
def test_a_server_is_asked_for_the_footer_and_for_no_more(tmp_path: Path, server: Server, columns: int) -> None:
    body = parquet(tmp_path / "a.parquet", columns)
    server.serve("/a.parquet", StoredFile(body))
    url = f"{server.url}/a.parquet"

    assert rows_in_footer(Publication(url, bytes=len(body)), url) == 70_000
    assert server.sent < max(200_000, len(body) // 10)


def test_a_file_on_this_machine_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet(path)
    assert rows_in_footer(Publication(str(path), bytes=path.stat().st_size), str(path)) == 70_000


@pytest.mark.parametrize("answer", [Answer(200, b"x" * 500), Answer(206, b"x" * 500), Answer(206, b""), Answer(503)])
def test_a_server_that_sends_something_else_leaves_it_untold(server: Server, answer: Answer) -> None:
    server.serve("/a.parquet", answer)
    url = f"{server.url}/a.parquet"
    assert rows_in_footer(Publication(url, bytes=500), url) is None


def test_a_csv_has_no_footer_and_nobody_is_asked(server: Server) -> None:
    url = f"{server.url}/a.csv.gz"
    assert rows_in_footer(Publication(url, bytes=500), url) is None
    assert not server.requests
