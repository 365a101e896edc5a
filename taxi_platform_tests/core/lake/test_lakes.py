"""What every lake promises. A new kind is one more entry of `LAKES`.

With `TAXI_TEST_GCS_URL=gs://bucket[/prefix]` and credentials it is asked of Google itself too (`-m live`).
"""

import os
from collections.abc import Callable, Generator
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from real_servers.s3 import S3Server
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.cleaning import clean
from taxi_platform.core.errors import LakeError
from taxi_platform.core.files import sha256_of
from taxi_platform.core.lake import Lake, object_key, open_lake
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source import Publication, RawFile
from taxi_platform.core.source.inspection import inspect
from taxi_platform.core.source.sample import write_month
from taxi_platform.settings import Settings
from taxi_platform_tests.core.warehouse.months import FEBRUARY, JANUARY, contract_of, month_file, numbered_file
from taxi_platform_tests.core.warehouse.processes import SPAWN, at_once, put_month

CONTRACT = contract_of()
LAKES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "folder": lambda test: f"{test.getfixturevalue('tmp_path')}/lake",
    "file URL": lambda test: f"file://{test.getfixturevalue('tmp_path')}/lake%20with%20blanks",
    "gcs": lambda test: f"gs://{test.getfixturevalue('bucket')}/some/prefix",
    "gcs of others": lambda test: f"gs://{test.getfixturevalue('gcs').new_bucket()}/some/prefix",
    "s3": lambda test: bucket_of_s3(test.getfixturevalue("s3")),
    "azure": lambda test: f"az://{test.getfixturevalue('azure').new_container()}/some/prefix",
}
GOOGLES_OWN = os.environ.get("TAXI_TEST_GCS_URL", "").rstrip("/")
LIVE = [pytest.param(GOOGLES_OWN, marks=pytest.mark.live, id="gcs itself")] if GOOGLES_OWN else []


@pytest.fixture(params=[*LAKES, *LIVE])
def url(request: pytest.FixtureRequest) -> Generator[str, None, None]:
    if request.param in LAKES:
        yield LAKES[request.param](request)
        return
    prefix = f"{request.param}/test-{uuid4().hex}"
    yield prefix
    clear_away(prefix)


@pytest.fixture
def lake(url: str, tmp_path: Path) -> Lake:
    return open_lake(url, tmp_path / "cache", azure=Settings.from_env().azure)


def test_a_month_comes_back_byte_for_byte_with_its_lineage(lake: Lake, tmp_path: Path) -> None:
    green, month = load_catalog().trips["green"], Month(2020, 11)
    cleaned = cleaned_sample(tmp_path, month)

    uri = lake.put(green, month, cleaned)
    got = lake.get(green, month)

    assert uri.endswith(object_key(green, month))
    assert sha256_of(got.path) == cleaned.sha256
    assert got.rows == cleaned.rows
    assert got.lineage == cleaned.lineage
    assert pq.read_table(got.path).equals(pq.read_table(cleaned.path))


def test_an_empty_month_is_kept_too(lake: Lake, tmp_path: Path) -> None:
    lake.put(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, [], tmp_path / "nothing"))
    assert lake.get(CONTRACT, JANUARY).rows == 0


def test_a_rerun_replaces_the_object(lake: Lake, tmp_path: Path) -> None:
    for rows in (3, 3, 1, 0, 5):
        uri = lake.put(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, rows, "x", tmp_path / "month"))
        assert lake.get(CONTRACT, JANUARY).rows == rows
        assert lake.put(CONTRACT, JANUARY, ParquetFile(tmp_path / "month")) == uri


def test_what_is_put_stays_where_it_came_from(lake: Lake, tmp_path: Path) -> None:
    file = numbered_file(CONTRACT, JANUARY, 3, "x", tmp_path / "month")
    before = file.sha256
    lake.put(CONTRACT, JANUARY, file)
    assert sha256_of(file.path) == before


def test_other_months_and_other_datasets_are_left_alone(lake: Lake, tmp_path: Path) -> None:
    other = contract_of(dataset="other")
    for contract, month, rows in [(CONTRACT, JANUARY, 1), (CONTRACT, FEBRUARY, 2), (other, JANUARY, 3)]:
        lake.put(contract, month, numbered_file(contract, month, rows, "x", tmp_path / "month"))
    lake.put(CONTRACT, FEBRUARY, numbered_file(CONTRACT, FEBRUARY, 9, "x", tmp_path / "month"))
    held = [lake.get(it, month).rows for it, month in [(CONTRACT, JANUARY), (CONTRACT, FEBRUARY), (other, JANUARY)]]
    assert held == [1, 9, 3]


def test_a_month_the_lake_does_not_hold_is_a_clear_error_with_the_command_that_brings_it(
    lake: Lake, tmp_path: Path
) -> None:
    for _ in range(2):  # from a lake that is not there at all, then from one that has another month
        with pytest.raises(LakeError, match="probe 2021-02: the lake does not hold this month") as raised:
            lake.get(CONTRACT, FEBRUARY)
        assert """-j probe_to_lake_job --tags '{"dagster/partition": "2021-02"}'""" in str(raised.value)
        lake.put(CONTRACT, JANUARY, month_file(CONTRACT, JANUARY, [], tmp_path / "month"))


def test_a_file_that_changes_while_it_is_put_is_refused_and_the_old_object_stays(lake: Lake, tmp_path: Path) -> None:
    lake.put(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, 3, "old", tmp_path / "old"))
    file = numbered_file(CONTRACT, JANUARY, 5, "new", tmp_path / "new")
    assert file.sha256  # what the file was when the run looked at it
    with file.path.open("ab") as changed:
        changed.write(b"!")

    with pytest.raises(LakeError, match=r"probe 2021-01: the copy is not equal to the cleaned file .*Fix: "):
        lake.put(CONTRACT, JANUARY, file)

    assert lake.get(CONTRACT, JANUARY).rows == 3


def test_every_month_has_a_version_that_changes_with_its_rows(lake: Lake, tmp_path: Path) -> None:
    assert lake.versions(CONTRACT) == {}
    lake.put(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, 1, "x", tmp_path / "month"))
    lake.put(CONTRACT, FEBRUARY, numbered_file(CONTRACT, FEBRUARY, 2, "x", tmp_path / "month"))
    before = lake.versions(CONTRACT)
    assert before.keys() == {JANUARY, FEBRUARY}
    assert lake.versions(CONTRACT) == before

    lake.put(CONTRACT, FEBRUARY, numbered_file(CONTRACT, FEBRUARY, 3, "x", tmp_path / "month"))
    after = lake.versions(CONTRACT)
    assert after[JANUARY] == before[JANUARY]
    assert after[FEBRUARY] != before[FEBRUARY]


def test_a_month_says_itself_which_version_it_is(lake: Lake, tmp_path: Path) -> None:
    for rows in (1, 2):
        lake.put(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, rows, "x", tmp_path / "month"))
        assert {JANUARY: lake.get(CONTRACT, JANUARY).version} == lake.versions(CONTRACT)


def test_months_of_other_datasets_and_months_a_dataset_cannot_have_have_no_version(lake: Lake, tmp_path: Path) -> None:
    file = numbered_file(CONTRACT, JANUARY, 1, "x", tmp_path / "month")
    lake.put(contract_of(dataset="other"), JANUARY, file)
    lake.put(contract_of(dataset="probe_trips"), JANUARY, file)
    for month in (Month(2019, 12), Month(2999, 1)):  # the first month is 2020-01
        lake.put(CONTRACT, month, file)
    assert lake.versions(CONTRACT) == {}


def test_different_months_from_two_processes_at_once_both_arrive(lake: Lake, url: str, tmp_path: Path) -> None:
    months = {JANUARY: 1_000, FEBRUARY: 2_000}
    files = {it: numbered_file(CONTRACT, it, rows, "x", tmp_path / str(it)).path for it, rows in months.items()}
    at_once(put_month, [(url, CONTRACT, month, [files[month]] * 5) for month in months])
    assert {month: lake.get(CONTRACT, month).rows for month in months} == months


def test_the_same_month_from_two_processes_at_once_is_always_one_whole_of_the_two(
    lake: Lake, url: str, tmp_path: Path
) -> None:
    files = [numbered_file(CONTRACT, JANUARY, rows, "x", tmp_path / str(rows)) for rows in (200_000, 100_000)]
    lake.put(CONTRACT, JANUARY, files[0])
    writers = [SPAWN.Process(target=put_month, args=(url, CONTRACT, JANUARY, [it.path] * 10)) for it in files]
    for writer in writers:
        writer.start()
    seen = {sha256_of(lake.get(CONTRACT, JANUARY).path)}
    while any(writer.is_alive() for writer in writers):
        seen.add(sha256_of(lake.get(CONTRACT, JANUARY).path))
    seen.add(sha256_of(lake.get(CONTRACT, JANUARY).path))
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert seen <= {file.sha256 for file in files}


def bucket_of_s3(server: S3Server) -> str:
    return server.url(server.new_bucket(), "some/prefix")


def clear_away(url: str) -> None:
    """Remove what a test put into a real bucket."""
    from google.cloud import storage

    name, _, prefix = url.removeprefix("gs://").partition("/")
    bucket = storage.Client(project=None).bucket(name)
    for blob in bucket.list_blobs(prefix=f"{prefix}/"):
        blob.delete()


def cleaned_sample(folder: Path, month: Month) -> ParquetFile:
    """A generated month of green, cleaned as a run cleans it."""
    green = load_catalog().trips["green"]
    path = folder / f"green_tripdata_{month}.csv.gz"
    write_month(green, month, 2_000, path)
    publication = Publication(f"sample://{path.name}", path.stat().st_size)
    found = inspect(path, publication, f"green {month}")
    raw = RawFile(path, publication, sha256_of(path), path.stat().st_size, found.rows, found.encoding, "")
    work = folder / "work"
    work.mkdir()
    return clean(green, month, raw, green.actions(), work).cleaned
