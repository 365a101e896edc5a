"""Months from a folder on this machine."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.errors import DiskFullError
from taxi_platform.core.source import CorruptError, NotPublishedError, RetryPolicy, SourceError, UnavailableError
from taxi_platform.core.source.arrival import Arrival
from taxi_platform.core.source.retry import Deadline
from taxi_platform_tests.core.source import months
from taxi_platform_tests.core.source.conftest import LOG, MONTH, Fetcher
from taxi_platform_tests.disks import disk, nobodys_folder, without_privileges

NAMES = {months.CSV_GZ: months.csv_gz(5), months.CSV: months.csv(6), months.PARQUET: months.parquet(7)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "published"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, content: bytes | None = None) -> Path:
    path = folder / name
    path.write_bytes(NAMES[name] if content is None else content)
    return path


def test_packed_is_taken_before_plain_and_plain_before_parquet(fetch: Fetcher, folder: Path) -> None:
    taken: list[tuple[str, int]] = []
    for name in reversed(NAMES):
        put(folder, name)
        raw = fetch(str(folder)).raw
        taken.append((raw.path.name, raw.rows))
    assert taken == [(months.PARQUET, 7), (months.CSV, 6), (months.CSV_GZ, 5)]


def test_the_copy_has_the_files_bytes_and_says_where_they_came_from(fetch: Fetcher, folder: Path) -> None:
    original = put(folder, months.CSV_GZ)
    raw = fetch(str(folder)).raw
    assert raw.path.read_bytes() == original.read_bytes()
    assert raw.publication.url == str(original)
    assert raw.publication.bytes == original.stat().st_size


def test_a_file_that_did_not_change_is_not_copied_again(fetch: Fetcher, folder: Path) -> None:
    put(folder, months.CSV_GZ)
    first = fetch(str(folder))
    before = first.raw.path.stat()

    second = fetch(str(folder))

    after = second.raw.path.stat()
    assert not second.changed
    assert second.raw == first.raw
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_that_was_touched_is_copied_again(fetch: Fetcher, folder: Path) -> None:
    original = put(folder, months.CSV_GZ)
    fetch(str(folder))
    os.utime(original, (1, 1))
    assert fetch(str(folder)).changed


def test_a_file_that_was_replaced_is_copied_again(fetch: Fetcher, folder: Path) -> None:
    put(folder, months.CSV)
    fetch(str(folder))
    put(folder, months.CSV, months.csv(60))
    fetched = fetch(str(folder))
    assert fetched.changed
    assert fetched.raw.rows == 60


def test_a_folder_that_does_not_exist_is_an_error_that_says_how_to_set_it(fetch: Fetcher, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(SourceError, match="the source folder does not exist") as error:
        fetch(str(missing))
    assert not isinstance(error.value, NotPublishedError)
    assert str(missing) in str(error.value)
    assert "TAXI_SOURCE" in str(error.value)
    assert not fetch.folder.exists()


def test_a_month_the_folder_does_not_have_is_not_published_and_leaves_no_folder(fetch: Fetcher, folder: Path) -> None:
    (folder / months.CSV_GZ).mkdir()  # a folder is no file, whatever its name
    with pytest.raises(NotPublishedError):
        fetch(str(folder))
    assert not fetch.folder.exists()


def test_a_month_already_here_is_kept_when_the_folder_has_it_no_more(fetch: Fetcher, folder: Path) -> None:
    original = put(folder, months.CSV_GZ)
    raw = fetch(str(folder)).raw
    original.unlink()
    with pytest.raises(NotPublishedError):
        fetch(str(folder))
    assert type(raw).in_folder(fetch.folder) == raw


def test_a_broken_file_is_corrupt_and_leaves_nothing(fetch: Fetcher, folder: Path) -> None:
    put(folder, months.CSV_GZ, months.csv_gz(500)[:-50])
    with pytest.raises(CorruptError):
        fetch(str(folder))
    assert not fetch.folder.exists()


@pytest.fixture
def closed() -> Generator[Path, None, None]:
    """A folder with the month, and a raw folder beside it, as somebody sees them whom permissions bind."""
    with nobodys_folder() as there, without_privileges():
        for name in ("published", "raw"):
            (there / name).mkdir()
        put(there / "published", months.CSV_GZ)
        yield there


def refusals(catalog: Catalog, there: Path, source: Path) -> list[str]:
    """What is told when the month is asked for, and when it is fetched."""
    fetch = Fetcher(catalog, there / "raw")
    told: list[str] = []
    for attempt in (lambda: fetch.source(str(source)).probe(fetch.contract, MONTH), lambda: fetch(str(source))):
        with pytest.raises(SourceError, match="the source may not be read") as raised:
            attempt()
        assert not isinstance(raised.value, NotPublishedError)
        assert not raised.value.may_pass_later
        assert fetch.left == set()
        told.append(str(raised.value))
    return told


def test_a_source_file_that_may_not_be_read_is_told_at_its_path_with_what_to_do_about_the_source(
    catalog: Catalog, closed: Path
) -> None:
    file = closed / "published" / months.CSV_GZ
    file.chmod(0o000)
    for told in refusals(catalog, closed, closed / "published"):
        assert f"(Permission denied) at {file}. Cause: " in told
        assert "or point TAXI_SOURCE at another place" in told
        assert "TAXI_DATA_DIR" not in told


def test_a_source_folder_that_may_not_be_searched_is_told_as_the_source(catalog: Catalog, closed: Path) -> None:
    (closed / "published").chmod(0o600)
    for told in refusals(catalog, closed, closed / "published"):
        assert f"at {closed / 'published' / months.CSV_GZ}" in told
        assert "TAXI_SOURCE" in told
        assert "TAXI_DATA_DIR" not in told


def test_a_source_below_a_folder_that_may_not_be_searched_is_told_as_the_source(catalog: Catalog, closed: Path) -> None:
    (closed / "published").rename(closed / "inner")
    (closed / "outer").mkdir()
    (closed / "inner").rename(closed / "outer" / "published")
    (closed / "outer").chmod(0o600)
    for told in refusals(catalog, closed, closed / "outer" / "published"):
        assert f"at {closed / 'outer' / 'published'}" in told
        assert "TAXI_DATA_DIR" not in told


def test_a_data_folder_that_may_not_be_written_to_is_not_told_as_the_source(catalog: Catalog, closed: Path) -> None:
    fetch = Fetcher(catalog, closed / "raw")
    fetch(str(closed / "published"))
    put(closed / "published", months.CSV_GZ, months.csv_gz(50))
    (fetch.folder / f".{months.CSV_GZ}.part").touch(mode=0o400)
    with pytest.raises(PermissionError) as raised:
        fetch(str(closed / "published"))
    assert raised.value.filename == str(fetch.folder / f".{months.CSV_GZ}.part")


def test_a_file_larger_than_the_room_on_the_disk_is_refused_before_it_is_copied_and_at_the_disks_path(
    fetch: Fetcher, folder: Path
) -> None:
    original = put(folder, months.CSV_GZ, months.csv_gz(5) + b"x" * 3_000_000)
    with disk(fetch.raw_dir, "2m"):
        with pytest.raises(DiskFullError, match=r"has no room for the published file of 3\.0 MB") as raised:
            fetch(str(folder))
        assert fetch.left == set()
    assert str(fetch.folder) in str(raised.value)
    assert str(original) not in str(raised.value)


def test_a_disk_that_is_full_when_the_copy_begins_is_told_at_its_path_and_the_part_goes(
    fetch: Fetcher, folder: Path
) -> None:
    original = put(folder, months.CSV, months.csv(8000))
    with disk(fetch.raw_dir, "2m", "nr_inodes=6"):  # room enough, for the folders and the lock alone
        (fetch.raw_dir / "others").touch()
        with pytest.raises(DiskFullError, match="No space left on device at") as raised:
            fetch(str(folder))
        assert fetch.left == set()
    assert str(fetch.raw_dir) in str(raised.value)
    assert str(original) not in str(raised.value)


def test_a_generated_month_that_fills_the_disk_is_told_at_its_path_and_leaves_nothing(fetch: Fetcher) -> None:
    with disk(fetch.raw_dir, "1m"):
        with pytest.raises(DiskFullError, match="No space left on device") as raised:
            fetch("sample", sample_rows=100_000)
        assert fetch.left == set()
    assert str(fetch.folder) in str(raised.value)


def test_a_file_that_grows_while_it_is_copied_is_refused(fetch: Fetcher, tmp_path: Path) -> None:
    arrival = Arrival(tmp_path / "part", 100, "green 2020-04", "/source", Deadline(60), LOG)
    with pytest.raises(CorruptError, match="more came than was announced \\(expected 100 bytes, got 110 and more"):
        arrival.write(iter([b"x" * 60, b"x" * 50]))


def test_a_copy_from_a_share_that_crawls_ends_at_the_deadline(fetch: Fetcher, folder: Path) -> None:
    put(folder, months.CSV, months.csv(60_000))  # several pieces
    with pytest.raises(UnavailableError, match="the source did not give the file within 0 s"):
        fetch(str(folder), RetryPolicy(deadline=0.0))


def test_another_edition_of_the_month_replaces_the_one_that_is_here(fetch: Fetcher, folder: Path) -> None:
    put(folder, months.PARQUET)
    fetch(str(folder))
    packed = put(folder, months.CSV_GZ)
    assert fetch(str(folder)).raw.edition == "csv"
    assert fetch.left == {months.CSV_GZ, "provenance.json"}

    packed.unlink()
    assert fetch(str(folder)).raw.edition == "parquet"
    assert fetch.left == {months.PARQUET, "provenance.json"}


@pytest.mark.parametrize("name", ["with blanks", "Müller 出租车", "100%", "a#b", "a?b", "it's"])
def test_any_name_will_do_for_the_folder_as_a_path_and_as_a_url(fetch: Fetcher, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    put(folder, months.CSV_GZ)
    assert fetch(str(folder)).raw.rows == 5
    assert not fetch(folder.as_uri()).changed  # the same folder by another name
    assert fetch.source(str(folder)).probe(fetch.contract, MONTH).bytes == len(NAMES[months.CSV_GZ])


def test_the_zone_lookup_may_lie_in_the_folder_or_in_its_misc(fetch: Fetcher, folder: Path) -> None:
    zones = fetch.catalog.zones
    content = b"LocationID,Borough,Zone,service_zone\r\n1,EWR,Newark Airport,EWR\r\n"
    (folder / "misc").mkdir()
    (folder / "misc" / zones.file).write_bytes(content)
    fetched = fetch.source(str(folder)).fetch_reference(zones, LOG)
    assert (fetched.changed, fetched.raw.rows) == (True, 1)
    assert fetched.raw.path == fetch.raw_dir / "taxi_zones" / zones.file

    (folder / zones.file).write_bytes(content * 2)
    assert fetch.source(str(folder)).fetch_reference(zones, LOG).raw.rows == 3


def test_a_zone_lookup_that_is_nowhere_is_not_published(fetch: Fetcher, folder: Path) -> None:
    with pytest.raises(NotPublishedError, match="taxi_zones: the source does not have it"):
        fetch.source(str(folder)).fetch_reference(fetch.catalog.zones, LOG)
    assert not (fetch.raw_dir / "taxi_zones").exists()
