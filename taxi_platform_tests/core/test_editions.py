"""What is handed on by its name is taken as that or not at all; a month's two files are those of one cleaning."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from taxi_platform.core.catalog.model import RuleAction
from taxi_platform.core.editions import MonthFiles, held_still
from taxi_platform.core.errors import ReplacedError, TaxiPlatformError
from taxi_platform.core.files import FileState, publish, sha256_of
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile, copy_options

GREEN = "green 2021-01"
LINEAGE = Lineage("green", "2021-01", "u", "0" * 64, "csv", "v1", {"r": RuleAction.WARN}, 1, 1, 0)


def written(path: Path, lineage: Lineage = LINEAGE, word: str = "x") -> ParquetFile:
    """A Parquet file of one row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        con.execute(f"COPY (SELECT '{word}' AS word) TO '{path}' {copy_options(lineage)}")
    return ParquetFile(path)


def replace_it(file: ParquetFile) -> None:
    publish(written(file.path.with_name("other"), word="y").path, file.path)


def remove_it(file: ParquetFile) -> None:
    file.path.unlink()


def write_into_it(file: ParquetFile) -> None:
    with file.path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"!")


CHANGES = pytest.mark.parametrize("change", [replace_it, remove_it, write_into_it])


@CHANGES
def test_a_file_that_is_another_than_it_was_handed_on_as_is_not_read(
    change: Callable[[ParquetFile], None], tmp_path: Path
) -> None:
    file = written(tmp_path / "month.parquet")
    assert file.sha256
    change(file)
    with pytest.raises(ReplacedError, match=f"{GREEN}: another run replaced the month"), held_still(GREEN, file):
        pytest.fail("it was read")


@CHANGES
def test_what_was_read_of_a_file_that_changed_meanwhile_is_not_used(
    change: Callable[[ParquetFile], None], tmp_path: Path
) -> None:
    file = written(tmp_path / "month.parquet")
    with pytest.raises(ReplacedError) as raised, held_still(GREEN, file):
        change(file)
    assert raised.value.may_pass_later


def test_a_file_that_was_replaced_and_put_back_while_it_was_read_is_not_what_was_read(tmp_path: Path) -> None:
    file = written(tmp_path / "month.parquet")
    copy = tmp_path / "copy"
    copy.write_bytes(file.path.read_bytes())
    with pytest.raises(ReplacedError), held_still(GREEN, file):
        replace_it(file)
        publish(copy, file.path)


def test_an_error_that_a_replaced_file_brought_about_is_told_as_that(tmp_path: Path) -> None:
    file = written(tmp_path / "month.parquet")
    with pytest.raises(ReplacedError) as raised, held_still(GREEN, file):
        remove_it(file)
        file.path.read_bytes()
    assert isinstance(raised.value.__cause__, FileNotFoundError)


def test_an_error_of_a_file_that_stayed_is_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held_still(GREEN, written(tmp_path / "month.parquet")):
        _ = 1 / 0


def test_a_file_that_was_only_touched_is_what_it_was(tmp_path: Path) -> None:
    file = written(tmp_path / "month.parquet")
    with held_still(GREEN, file):
        file.path.touch()


def test_a_file_that_another_one_of_its_size_and_times_takes_the_place_of_has_another_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path, body in ((one, b"a"), (other, b"b")):
        path.write_bytes(body)
        os.utime(path, ns=(10**18, 10**18))
    before = sha256_of(one)
    other.replace(one)
    assert sha256_of(one) != before


# Publishing


@pytest.fixture
def files(tmp_path: Path) -> MonthFiles:
    return MonthFiles(tmp_path / "data", "green", Month(2021, 1))


def pair(folder: Path, lineage: Lineage) -> tuple[ParquetFile, ParquetFile]:
    return written(folder / "cleaned", lineage), written(folder / "quarantine", lineage)


def test_the_two_files_of_a_month_are_of_one_cleaning_however_many_publish_at_once(
    files: MonthFiles, tmp_path: Path
) -> None:
    def publish_some(who: int) -> None:
        for number in range(10):
            lineage = replace(LINEAGE, source_etag=f"{who} {number}")
            placed = files.publish(*pair(tmp_path / f"{who}", lineage), files.standing())
            with files.alone():
                seen = [ParquetFile(files.path(layer)).lineage.source_etag for layer in placed]
            if len(set(seen)) > 1:
                mixed.append(seen)

    mixed: list[list[str]] = []
    threads = [threading.Thread(target=publish_some, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert mixed == []


def test_whoever_waits_too_long_for_another_run_is_told_and_may_try_again(
    files: MonthFiles, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        files.alone(),
        pytest.raises(TaxiPlatformError, match=f"{GREEN}: another run has been storing this month") as raised,
        files.alone(patience=0.1),
    ):
        pytest.fail("there were two")
    assert raised.value.may_pass_later
    assert f"{GREEN}: waiting for another run that is storing this month, for 0.1 s at most" in caplog.text


def test_the_same_bytes_published_again_disturb_nobody_who_reads_them(files: MonthFiles, tmp_path: Path) -> None:
    files.publish(*pair(tmp_path / "first", LINEAGE), None)
    before = FileState.of(files.path("cleaned"))
    files.publish(*pair(tmp_path / "second", LINEAGE), files.standing())
    assert FileState.of(files.path("cleaned")) == before


def test_a_damaged_file_that_came_meanwhile_is_replaced(files: MonthFiles, tmp_path: Path) -> None:
    files.path("cleaned").parent.mkdir(parents=True)
    files.path("cleaned").write_bytes(b"no Parquet")
    placed = files.publish(*pair(tmp_path / "ours", LINEAGE), None)
    assert placed["cleaned"].lineage == LINEAGE


def test_another_contract_that_was_followed_meanwhile_is_not_overwritten(files: MonthFiles, tmp_path: Path) -> None:
    newer = replace(LINEAGE, contract_version="v2")
    before = files.standing()
    files.publish(*pair(tmp_path / "newer", newer), before)
    with pytest.raises(ReplacedError):
        files.publish(*pair(tmp_path / "older", LINEAGE), before)
    assert ParquetFile(files.path("quarantine")).lineage == newer
