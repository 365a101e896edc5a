"""A lake in S3, against a real server of it; what holds for every lake is in test_lakes.py."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from taxi_platform.core.errors import LakeError
from taxi_platform.core.lake import object_key, open_lake
from taxi_platform.core.lake import s3 as kind
from taxi_platform.core.lake.s3 import S3Lake
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.lake.s3_server import BUCKET, S3Server
from taxi_platform_tests.core.warehouse.months import JANUARY, contract_of, numbered_file

CONTRACT = contract_of()
KEY = object_key(CONTRACT, JANUARY)


@pytest.fixture
def lake(s3_url: str, tmp_path: Path) -> S3Lake:
    lake = open_lake(s3_url, tmp_path / "cache")
    assert isinstance(lake, S3Lake)
    return lake


@pytest.fixture
def large(tmp_path: Path) -> ParquetFile:
    """A month that is sent in parts."""
    file = numbered_file(CONTRACT, JANUARY, 3_000_000, "x", tmp_path / "large")
    assert file.path.stat().st_size > 2 * kind._PART
    return file


def uploads(s3: S3Server, lake: S3Lake) -> list[dict[str, Any]]:
    found = s3.client.list_multipart_uploads(Bucket=BUCKET, Prefix=lake.prefix).get("Uploads", [])
    return [it for it in found if it["Key"].startswith(lake.prefix)]


def test_a_month_in_parts_comes_back_with_a_checksum_of_the_whole(
    s3: S3Server, lake: S3Lake, large: ParquetFile
) -> None:
    lake.put(CONTRACT, JANUARY, large)
    assert lake.get(CONTRACT, JANUARY).sha256 == large.sha256
    found = s3.client.head_object(Bucket=BUCKET, Key=f"{lake.prefix}/{KEY}", ChecksumMode="ENABLED")
    with large.path.open("rb") as stream:
        assert found["Metadata"]["crc32c"] == lake._hashes(stream)[1].value
    assert found["Metadata"]["rows"] == "3000000"
    assert uploads(s3, lake) == []


def test_parts_that_change_on_the_way_are_refused_and_the_old_month_stays(
    s3: S3Server, lake: S3Lake, large: ParquetFile, tmp_path: Path
) -> None:
    lake.put(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, 3, "old", tmp_path / "old"))

    class Damaging:
        """Sends other bytes than it was given, as a broken machine in between does."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def upload_part(self, *, Body: bytes, **told: Any) -> Any:  # noqa: N803 (boto3's name)
            return self.inner.upload_part(Body=b"!" + Body[1:], **told)

    with client_of(lake, Damaging(lake._client)), pytest.raises(LakeError, match="could not be stored"):
        lake.put(CONTRACT, JANUARY, large)
    assert lake.get(CONTRACT, JANUARY).rows == 3
    assert uploads(s3, lake) == [], "what was sent of it is ended"


@contextmanager
def client_of(lake: S3Lake, client: Any) -> Generator[None, None, None]:
    before = lake._client
    vars(lake)["_client"] = client
    try:
        yield
    finally:
        vars(lake)["_client"] = before


@pytest.mark.parametrize("rows", [5, 3_000_000], ids=["at once", "in parts"])
def test_who_was_overtaken_looks_again_and_neither_month_is_mixed(lake: S3Lake, tmp_path: Path, rows: int) -> None:
    ours = numbered_file(CONTRACT, JANUARY, rows, "ours", tmp_path / "ours")
    theirs = numbered_file(CONTRACT, JANUARY, 7, "theirs", tmp_path / "theirs")
    look, looked = S3Lake._look, list[str]()

    def overtaken(self: S3Lake, name: str) -> Any:
        found = look(self, name)
        looked.append(name)
        if len(looked) == 1:
            self.put(CONTRACT, JANUARY, theirs)  # between our look and what we send
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(S3Lake, "_look", overtaken)
        lake.put(CONTRACT, JANUARY, ours)
    assert len(looked) >= 3
    assert lake.get(CONTRACT, JANUARY).sha256 == ours.sha256


def test_uploads_that_a_killed_run_has_left_are_ended_by_the_next_when_they_are_old(
    s3: S3Server, lake: S3Lake, large: ParquetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (KEY, f"{KEY}.other"):
        s3.client.create_multipart_upload(Bucket=BUCKET, Key=f"{lake.prefix}/{name}")
    lake.put(CONTRACT, JANUARY, large)
    assert len(uploads(s3, lake)) == 2, "they may be somebody's who is at it"

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(days=2)

    monkeypatch.setattr(kind, "datetime", Later)
    lake.put(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, 3_000_000, "y", large.path.with_name("next")))
    assert [it["Key"] for it in uploads(s3, lake)] == [f"{lake.prefix}/{KEY}.other"], "and only of this very object"
    assert datetime.now(UTC)


def test_an_object_somebody_else_put_is_read_though_it_has_no_checksum(
    s3: S3Server, lake: S3Lake, tmp_path: Path
) -> None:
    file = numbered_file(CONTRACT, JANUARY, 4, "x", tmp_path / "month")
    s3.client.put_object(Bucket=BUCKET, Key=f"{lake.prefix}/{KEY}", Body=file.path.read_bytes())
    assert lake.get(CONTRACT, JANUARY).rows == 4


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "wrong"}, "InvalidAccessKeyId"),
    ],
)
def test_wrong_credentials_are_told_with_what_to_set(
    s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], told: str
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    lake = open_lake(s3_url, tmp_path / "cache")
    with pytest.raises(LakeError, match=f"{told}|403") as raised:
        lake.put(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, 3, "x", tmp_path / "month"))
    assert "AWS_ACCESS_KEY_ID" in str(raised.value) or "grant these credentials" in str(raised.value)
    assert not raised.value.may_pass_later


def test_a_bucket_that_is_not_there_is_told_with_the_command_that_makes_it(s3: S3Server, tmp_path: Path) -> None:
    lake = open_lake(s3.url("no-such-bucket"), tmp_path / "cache")
    for ask in (lambda: lake.get(CONTRACT, JANUARY), lambda: lake.versions(CONTRACT)):
        with pytest.raises(LakeError, match="NoSuchBucket") as raised:
            ask()
        assert "aws s3 mb s3://no-such-bucket" in str(raised.value)


def test_nobody_at_the_endpoint_is_told_as_that_and_may_pass(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "_TRIES", 1)
    lake = open_lake("s3://bucket?endpoint=http://127.0.0.1:9", tmp_path / "cache")
    with pytest.raises(LakeError, match=r"nobody answers at http://127\.0\.0\.1:9") as raised:
        lake.versions(CONTRACT)
    assert raised.value.may_pass_later


def test_no_credentials_at_all_are_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    lake = open_lake("s3://bucket?region=us-east-1", tmp_path / "cache")
    with pytest.raises(LakeError, match="there are no credentials"):
        lake.versions(CONTRACT)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://bucket?enpoint=http://localhost", "an option nobody knows: enpoint"),
        ("s3://bucket?endpoint=localhost:9000", "is no address of a service"),
        ("s3://bucket?endpoint=http://me:hunter2@localhost", "is no address of a service"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_without_its_password(url: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=told) as raised:
        open_lake(url, tmp_path)
    assert "hunter2" not in str(raised.value)
