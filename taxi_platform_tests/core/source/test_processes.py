"""Fetching while other processes do the same, and after one that was killed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from taxi_platform.core.editions import held_still
from taxi_platform.core.errors import ReplacedError, TaxiPlatformError
from taxi_platform.core.files import sha256_of
from taxi_platform.core.source import RawFile
from taxi_platform_tests.core.source import months
from taxi_platform_tests.core.source.conftest import Fetcher
from taxi_platform_tests.core.source.server import Answer, Server, StoredFile

BODY = months.csv(8000)
HALF = len(BODY) // 2


def start(setting: str, raw_dir: Path, sample_rows: int = 1000) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "taxi_platform_tests.core.source.child", setting, str(raw_dir), str(sample_rows)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True)


def kill_once(child: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Kill the child (SIGKILL) as soon as it got that far."""
    deadline = time.monotonic() + 60
    with child:
        while not reached():
            assert child.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline, "it never got that far"
            time.sleep(0.002)
        child.kill()


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_two_processes_that_fetch_the_same_month_both_get_it_whole_and_only_one_downloads(
    fetch: Fetcher, server: Server
) -> None:
    slow = Answer(200, BODY, {"ETag": '"v1"'}, stall_at=HALF, stall_seconds=1.0)
    server.serve(f"/{months.CSV}", slow, StoredFile(BODY))

    children = [start(server.url, fetch.raw_dir) for _ in range(2)]
    outcomes = [json.loads(child.communicate(timeout=60)[0]) for child in children]

    assert sorted(outcome["changed"] for outcome in outcomes) == [False, True]
    assert {outcome["sha256"] for outcome in outcomes} == {hashlib.sha256(BODY).hexdigest()}
    assert server.sent == len(BODY)
    assert fetch.left == {months.CSV, "provenance.json"}


def test_a_killed_download_is_taken_up_by_the_next_fetch(fetch: Fetcher, server: Server) -> None:
    server.serve(f"/{months.CSV}", Answer(200, BODY, {"ETag": '"v1"'}, stall_at=HALF), StoredFile(BODY))
    part = fetch.folder / f".{months.CSV}.part"
    kill_once(start(server.url, fetch.raw_dir), lambda: size_of(part) > 0)
    left = size_of(part)

    fetched = fetch(server.url)

    assert fetched.raw.path.read_bytes() == BODY
    assert server.requests[-1].headers["Range"] == f"bytes={left}-"
    assert fetch.left == {months.CSV, "provenance.json"}


def test_a_killed_download_leaves_the_month_that_was_here_as_it_was(fetch: Fetcher, server: Server) -> None:
    path = f"/{months.CSV}"
    server.serve(path, StoredFile(months.csv(100, seed=1)))
    before = fetch(server.url).raw
    server.serve(path, Answer(200, BODY, {"ETag": '"v2"'}, stall_at=HALF), StoredFile(BODY, '"v2"'))
    part = fetch.folder / f".{months.CSV}.part"

    kill_once(start(server.url, fetch.raw_dir), lambda: size_of(part) > 0)

    assert type(before).in_folder(fetch.folder) == before
    assert hashlib.sha256(before.path.read_bytes()).hexdigest() == before.sha256
    assert fetch(server.url).raw.path.read_bytes() == BODY


def test_a_killed_generator_leaves_nothing_the_next_fetch_trips_over(fetch: Fetcher) -> None:
    part = fetch.folder / f".{months.CSV_GZ}.part"
    kill_once(start("sample", fetch.raw_dir, sample_rows=5_000_000), lambda: size_of(part) > 0)

    raw = fetch("sample", sample_rows=1000).raw

    assert raw.rows == 1000
    assert fetch.left == {months.CSV_GZ, "provenance.json"}


_KILLED = """
import sys
from taxi_platform_tests.core.source import child
from taxi_platform_tests.faults.tracer import Point, Spot, Tracer
unrecorded = Point("published, not recorded", Spot("taxi_platform.core.source.source", "_take", "raw.record()"))
Tracer([unrecorded], kill=True).start()
child.main(*sys.argv[1:])
"""


def test_a_record_does_not_vouch_for_the_bytes_that_a_killed_fetch_left_beside_it(
    fetch: Fetcher, tmp_path: Path
) -> None:
    published = tmp_path / "source" / months.CSV
    published.parent.mkdir()
    published.write_bytes(months.csv(100, seed=1))
    old = fetch(str(published.parent)).raw
    published.write_bytes(months.csv(100, seed=2))  # another file, as large
    command = [sys.executable, "-c", _KILLED, str(published.parent), str(fetch.raw_dir), "1000"]

    killed = subprocess.run(command, cwd=Path(__file__).parents[3], stdout=subprocess.DEVNULL, check=False)

    assert killed.returncode == -9
    assert old.path.read_bytes() == published.read_bytes()
    assert json.loads((fetch.folder / "provenance.json").read_text())["sha256"] == old.sha256
    with pytest.raises(TaxiPlatformError, match=r"the raw file is another than its record is of .*Fix: fetch it"):
        RawFile.expected_in(fetch.folder, "green 2020-04", "fetch it")
    with pytest.raises(ReplacedError), held_still("green 2020-04", old):
        pytest.fail("it was read")

    new = fetch(str(published.parent)).raw
    assert new.sha256 == sha256_of(published) != old.sha256
    assert RawFile.expected_in(fetch.folder, "green 2020-04", "fetch it") == new
