"""Fetching while other processes do the same, and after one that was killed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

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
