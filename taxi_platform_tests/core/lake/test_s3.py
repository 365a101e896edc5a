"""What is particular to S3 as a lake: parts, broken lines, unfinished uploads, other tools' objects, refusals."""

import signal
import socket
import time
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from real_servers.line import Fault, Line, line_to
from real_servers.s3 import OWNER, READER, REGION, S3Server
from taxi_platform.core.errors import LakeError
from taxi_platform.core.lake import object_key, open_lake
from taxi_platform.core.lake.bucket import OvertakenError
from taxi_platform.core.lake.s3 import S3Lake
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.warehouse.months import FEBRUARY, JANUARY, contract_of, numbered_file
from taxi_platform_tests.core.warehouse.processes import SPAWN, put_month

CONTRACT = contract_of()
OBJECT = f"prefix/{object_key(CONTRACT, JANUARY)}"
MEGABYTE = 1 << 20


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.new_bucket()


@pytest.fixture
def line(s3: S3Server) -> Generator[Line, None, None]:
    with line_to(int(s3.endpoint.rpartition(":")[2])) as line:
        yield line


@pytest.fixture
def lake(line: Line, bucket: str, tmp_path: Path) -> S3Lake:
    """The lake, by a line that can break."""
    return S3Lake(bucket, "prefix", tmp_path / "cache", f"http://127.0.0.1:{line.port}", REGION)


@pytest.fixture
def small(tmp_path: Path) -> ParquetFile:
    return numbered_file(CONTRACT, JANUARY, 3, "small", tmp_path / "small")


@pytest.fixture(scope="module")
def large_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = numbered_file(CONTRACT, JANUARY, 1_300_000, "large", tmp_path_factory.mktemp("large") / "large")
    assert 32 * MEGABYTE < file.bytes < 48 * MEGABYTE  # three parts
    return file.path


@pytest.fixture
def large(large_path: Path) -> ParquetFile:
    return ParquetFile(large_path)


def test_an_object_says_where_its_rows_came_from_and_s3_knows_its_checksum(
    lake: S3Lake, s3: S3Server, small: ParquetFile
) -> None:
    assert lake.put(CONTRACT, JANUARY, small) == f"s3://{lake.bucket}/{OBJECT}" == lake.uri(CONTRACT, JANUARY)
    said = s3.client().head_object(Bucket=lake.bucket, Key=OBJECT, ChecksumMode="ENABLED")
    assert said["Metadata"]["sha256"] == small.sha256
    assert said["Metadata"]["source_url"] == small.lineage.source_url
    assert said["ContentType"] == "application/vnd.apache.parquet"
    assert len(said["ChecksumCRC32C"]) == 8


def test_what_is_there_already_is_not_sent_again(lake: S3Lake, line: Line, large: ParquetFile) -> None:
    lake.put(CONTRACT, JANUARY, large)
    before = line.sent
    lake.put(CONTRACT, JANUARY, large)
    assert line.sent - before < 10_000


def test_a_large_month_arrives_in_parts_whose_whole_s3_has_checked(
    lake: S3Lake, s3: S3Server, large: ParquetFile
) -> None:
    lake.put(CONTRACT, JANUARY, large)
    said = s3.client().head_object(Bucket=lake.bucket, Key=OBJECT, ChecksumMode="ENABLED")
    assert said["ETag"].endswith('-3"')
    assert said["ChecksumType"] == "FULL_OBJECT"
    assert lake.get(CONTRACT, JANUARY).sha256 == large.sha256
    assert unfinished(s3, lake.bucket) == []


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_line_that_breaks_or_changes_bytes_on_the_way_there_costs_another_try(
    lake: S3Lake, line: Line, s3: S3Server, size: str, request: pytest.FixtureRequest
) -> None:
    file: ParquetFile = request.getfixturevalue(size)
    after = 20 * MEGABYTE if size == "large" else 1_500  # inside of the second part; inside of the object
    for fault in (Fault(after), Fault(after, flips=True)):
        line.faults = [fault]
        lake.put(CONTRACT, JANUARY, file)
        assert line.faults == []
        assert lake.get(CONTRACT, JANUARY).sha256 == file.sha256
        assert unfinished(s3, lake.bucket) == []
        s3.client().delete_object(Bucket=lake.bucket, Key=OBJECT)


@pytest.mark.parametrize("flips", [False, True])
def test_what_arrives_here_cut_or_changed_is_fetched_again(
    lake: S3Lake, line: Line, large: ParquetFile, flips: bool
) -> None:
    lake.put(CONTRACT, JANUARY, large)
    line.faults = [Fault(20 * MEGABYTE, to_server=False, flips=flips)]
    assert lake.get(CONTRACT, JANUARY).sha256 == large.sha256
    assert line.faults == []


def test_an_upload_killed_in_the_middle_leaves_the_old_month_and_is_ended_by_the_next_one(
    lake: S3Lake, line: Line, s3: S3Server, small: ParquetFile, large: ParquetFile
) -> None:
    lake.put(CONTRACT, JANUARY, small)
    url = f"s3://{lake.bucket}/prefix?endpoint={lake.endpoint}&region={REGION}"
    before = line.sent
    process = SPAWN.Process(target=put_month, args=(url, CONTRACT, JANUARY, [large.path]))
    process.start()
    while line.sent - before < 17 * MEGABYTE:
        assert process.is_alive()
        time.sleep(0.001)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert lake.get(CONTRACT, JANUARY).sha256 == small.sha256
    assert len(unfinished(s3, lake.bucket)) == 1

    lake.put(CONTRACT, JANUARY, large)  # it may be another writer's, who is at work: it stays
    assert len(unfinished(s3, lake.bucket)) == 1
    later = S3Lake(lake.bucket, "prefix", lake.cache, lake.endpoint, REGION, abandoned=timedelta())
    later.put(CONTRACT, FEBRUARY, small)  # another month's is nobody's business
    assert len(unfinished(s3, lake.bucket)) == 1
    later.put(CONTRACT, JANUARY, small)
    assert unfinished(s3, lake.bucket) == []


def test_a_month_replaced_by_somebody_else_between_look_and_put_is_looked_at_again(
    lake: S3Lake, s3: S3Server, small: ParquetFile, large: ParquetFile, tmp_path: Path
) -> None:
    other = S3Lake(lake.bucket, "prefix", tmp_path / "other", s3.endpoint, REGION)
    looked = lake._look(OBJECT)
    other.put(CONTRACT, JANUARY, small)
    for file in (small, large):
        with file.path.open("rb") as stream:
            checksum = lake._hashes(stream)[1]
            stream.seek(0)
            with pytest.raises(OvertakenError):
                lake._send(OBJECT, stream, checksum, {}, looked)
    assert lake.get(CONTRACT, JANUARY).sha256 == small.sha256
    assert unfinished(s3, lake.bucket) == []


def test_an_object_another_tool_put_there_is_read_and_replaced(
    lake: S3Lake, s3: S3Server, small: ParquetFile, large: ParquetFile
) -> None:
    """Without a checksum of the kind we ask for, or with one of its parts only."""
    client = s3.client()
    client.put_object(Bucket=lake.bucket, Key=OBJECT, Body=small.path.read_bytes(), ChecksumAlgorithm="SHA256")
    assert lake.get(CONTRACT, JANUARY).sha256 == small.sha256
    lake.put(CONTRACT, JANUARY, small)
    said: dict[str, Any] = client.head_object(Bucket=lake.bucket, Key=OBJECT, ChecksumMode="ENABLED")
    assert said["ChecksumCRC32C"]
    assert said["Metadata"]["sha256"] == small.sha256


def test_a_name_and_a_source_may_be_written_in_any_letters(lake: S3Lake, s3: S3Server, small: ParquetFile) -> None:
    url = s3.url(lake.bucket, "Zürich-🚕/it's+100%25")
    opened = open_lake(url, lake.cache)
    assert opened.put(CONTRACT, JANUARY, small).startswith(f"s3://{lake.bucket}/Zürich-🚕/it's+100%25/")
    assert opened.get(CONTRACT, JANUARY).sha256 == small.sha256
    assert list(opened.versions(CONTRACT)) == [JANUARY]


def test_a_bucket_that_does_not_exist_is_told_from_a_month_that_is_not_there(
    s3: S3Server, small: ParquetFile, tmp_path: Path
) -> None:
    for error in errors_of(S3Lake("nobodys-bucket", "", tmp_path, s3.endpoint, REGION), small):
        assert "Cause: the bucket does not exist: NoSuchBucket" in str(error)
        assert "aws s3api create-bucket --bucket nobodys-bucket" in str(error)
        assert "does not hold" not in str(error)
        assert not error.may_pass_later


def test_who_may_only_read_is_told_which_rights_a_put_needs(
    lake: S3Lake, s3: S3Server, small: ParquetFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.put(CONTRACT, JANUARY, small)
    for name, value in s3.environment(READER).items():
        monkeypatch.setenv(name, value)
    reader = S3Lake(lake.bucket, "prefix", tmp_path / "reader", s3.endpoint, REGION)
    assert reader.get(CONTRACT, JANUARY).rows == 3
    with pytest.raises(LakeError, match=r"the account may not do this: AccessDenied.*grant it s3:GetObject, s3:Put"):
        reader.put(CONTRACT, FEBRUARY, small)


@pytest.mark.parametrize(("account", "key"), [(OWNER, "planted-secret"), ("AKIANOBODY", "planted-secret")])
def test_credentials_s3_does_not_know_are_told_and_not_shown(
    s3: S3Server,
    bucket: str,
    small: ParquetFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    account: str,
    key: str,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", account)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key)
    for error in errors_of(S3Lake(bucket, "", tmp_path, s3.endpoint, REGION), small):
        assert "S3 does not know the credentials: " in str(error)
        assert "Fix: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(error)
        assert key not in str(error)
        assert not error.may_pass_later


def test_credentials_that_are_none_say_which_variables_to_set(
    s3: S3Server, bucket: str, small: ParquetFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for error in errors_of(S3Lake(bucket, "", tmp_path, s3.endpoint, REGION), small):
        assert "Cause: no usable credentials: Unable to locate credentials" in str(error)
        assert "Fix: set AWS_ACCESS_KEY_ID" in str(error)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    for error in errors_of(S3Lake(bucket, "", tmp_path, s3.endpoint, REGION), small):
        assert "no usable credentials: The config profile (nobody) could not be found" in str(error)


@pytest.mark.usefixtures("s3")
def test_nobody_there_is_told_within_seconds(small: ParquetFile, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for endpoint in (f"http://127.0.0.1:{port}", "http://nobody.invalid"):
        started = time.monotonic()
        for error in errors_of(S3Lake("bucket", "", tmp_path, endpoint, REGION, attempts=2), small):
            assert f'Cause: no answer: Could not connect to the endpoint URL: "{endpoint}/' in str(error)
            assert error.may_pass_later
        assert time.monotonic() - started < 10


def unfinished(server: S3Server, bucket: str) -> list[str]:
    """The uploads somebody has begun, by their objects."""
    return [it["Key"] for it in server.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def errors_of(lake: S3Lake, file: ParquetFile) -> list[LakeError]:
    """What each way to use a lake ends with."""
    errors: list[LakeError] = []
    for use in (
        lambda: lake.put(CONTRACT, JANUARY, file),
        lambda: lake.get(CONTRACT, JANUARY),
        lambda: lake.uri(CONTRACT, JANUARY),
        lambda: lake.versions(CONTRACT),
    ):
        with pytest.raises(LakeError) as raised:
            use()
        errors.append(raised.value)
    return errors
