"""What is particular to a bucket as a lake: what an object says of itself, broken lines, other writers, refusals."""

import gc
import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from taxi_platform.core.errors import LakeError
from taxi_platform.core.google import ApplicationDefault
from taxi_platform.core.lake import object_key, open_lake
from taxi_platform.core.lake.gcs import GCSLake
from taxi_platform.core.parquet import ParquetFile
from taxi_platform_tests.core.lake.gcs_server import Fault, GoogleStorage, Request
from taxi_platform_tests.core.warehouse.months import FEBRUARY, JANUARY, contract_of, numbered_file
from taxi_platform_tests.core.warehouse.processes import SPAWN, put_month

CONTRACT = contract_of()
OBJECT = f"prefix/{object_key(CONTRACT, JANUARY)}"
UPLOADS: Callable[[Request], bool] = lambda request: request.sends_bytes  # noqa: E731
DOWNLOADS: Callable[[Request], bool] = lambda request: request.fetches_bytes  # noqa: E731
MEGABYTE = 1 << 20
ALWAYS = 1_000


@pytest.fixture
def lake(bucket: str, tmp_path: Path) -> GCSLake:
    return GCSLake(bucket, "prefix", tmp_path / "cache", ApplicationDefault())


@pytest.fixture
def small(tmp_path: Path) -> ParquetFile:
    return numbered_file(CONTRACT, JANUARY, 3, "small", tmp_path / "small")


@pytest.fixture(scope="module")
def large_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = numbered_file(CONTRACT, JANUARY, 650_000, "large", tmp_path_factory.mktemp("large") / "large")
    assert 16 * MEGABYTE < file.bytes < 24 * MEGABYTE  # three chunks
    return file.path


@pytest.fixture
def large(large_path: Path) -> ParquetFile:
    return ParquetFile(large_path)


def test_an_object_says_where_its_rows_came_from(lake: GCSLake, google: GoogleStorage, small: ParquetFile) -> None:
    uri = lake.put(CONTRACT, JANUARY, small)
    assert uri == f"gs://{lake.bucket}/{OBJECT}" == lake.uri(CONTRACT, JANUARY) == lake.get(CONTRACT, JANUARY).uri
    found = google.object(lake.bucket, OBJECT)
    assert found["contentType"] == "application/vnd.apache.parquet"
    assert found["metadata"] == {
        "sha256": small.sha256,
        "rows": "3",
        "dataset": "probe",
        "month": "2021-01",
        "source_url": "https://example.com/probe_tripdata_2021-01.csv.gz",
        "source_etag": "",
        "source_sha256": "0" * 64,
        "contract_version": CONTRACT.version,
    }


def test_what_is_there_already_is_not_sent_again(lake: GCSLake, google: GoogleStorage, small: ParquetFile) -> None:
    for _ in range(3):
        lake.put(CONTRACT, JANUARY, small)
    assert len(google.uploads()) == 1


def test_an_object_that_was_tampered_with_is_replaced(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile, tmp_path: Path
) -> None:
    lake.put(CONTRACT, JANUARY, small)
    metadata = google.object(lake.bucket, OBJECT)["metadata"]
    other = numbered_file(CONTRACT, JANUARY, 4, "other", tmp_path / "other")
    lake.put(CONTRACT, JANUARY, other)
    google.storage.objects[lake.bucket][OBJECT]["metadata"] = metadata  # it lies
    lake.put(CONTRACT, JANUARY, small)
    assert google.content(lake.bucket, OBJECT) == small.path.read_bytes()


def test_an_object_of_the_same_bytes_that_says_something_else_of_itself_is_replaced(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile
) -> None:
    for told in (None, {"rows": "3"}, {"sha256": "0" * 64}):
        lake.put(CONTRACT, JANUARY, small)
        google.storage.objects[lake.bucket][OBJECT]["metadata"] = told  # as after a copy by hand
        google.requests.clear()
        lake.put(CONTRACT, JANUARY, small)
        assert len(google.uploads()) == 1
        assert google.object(lake.bucket, OBJECT)["metadata"]["sha256"] == small.sha256


def test_a_large_month_arrives_in_chunks(lake: GCSLake, google: GoogleStorage, large: ParquetFile) -> None:
    lake.put(CONTRACT, JANUARY, large)
    assert [request.size for request in google.uploads()] == [8 * MEGABYTE, 8 * MEGABYTE, large.bytes - 16 * MEGABYTE]
    assert lake.get(CONTRACT, JANUARY).sha256 == large.sha256


@pytest.mark.parametrize(
    ("fault", "of_uploads"),
    [
        (Fault(status=503, times=3), False),
        (Fault(status=429, times=2), False),
        (Fault(UPLOADS, status=503, times=2), True),
        (Fault(UPLOADS, skip=1, status=500), True),
        (Fault(UPLOADS, hangs_up_after=3 * MEGABYTE), True),
        (Fault(UPLOADS, hangs_up_after=3 * MEGABYTE + 17, skip=1, times=2), True),
        (Fault(UPLOADS, hangs_up_after=8 * MEGABYTE, skip=1), True),
        (Fault(UPLOADS, forgets_to_answer=True), True),
        (Fault(UPLOADS, forgets_to_answer=True, skip=2), True),
        (Fault(UPLOADS, status=410, skip=1), True),
        (Fault(UPLOADS, status=404, skip=1), True),
    ],
)
def test_a_broken_line_and_a_busy_google_are_survived(
    lake: GCSLake, google: GoogleStorage, large: ParquetFile, fault: Fault, of_uploads: bool
) -> None:
    google.faults = [fault := replace(fault)]
    lake.put(CONTRACT, JANUARY, large)
    assert fault.times == 0
    assert (len(google.uploads()) > 3) is of_uploads
    assert hashlib.sha256(google.content(lake.bucket, OBJECT)).hexdigest() == large.sha256


def test_a_small_month_whose_answer_is_lost_is_there_once(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile
) -> None:
    google.faults = [Fault(UPLOADS, forgets_to_answer=True)]
    lake.put(CONTRACT, JANUARY, small)  # the second try finds that the object is another one by now: its own
    assert google.content(lake.bucket, OBJECT) == small.path.read_bytes()


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_writer_that_comes_between_is_seen_and_the_month_is_one_of_the_two(
    lake: GCSLake, google: GoogleStorage, tmp_path: Path, size: str, request: pytest.FixtureRequest
) -> None:
    file: ParquetFile = request.getfixturevalue(size)
    other = numbered_file(CONTRACT, JANUARY, 4, "other", tmp_path / "other")
    between = Fault(UPLOADS, skip=2 * (size == "large"), first=lambda: lake.put(CONTRACT, JANUARY, other))
    google.faults = [between]
    lake.put(CONTRACT, JANUARY, file)
    assert between.times == 0
    assert google.content(lake.bucket, OBJECT) == file.path.read_bytes()


def test_a_month_others_replace_all_the_time_is_given_up(lake: GCSLake, google: GoogleStorage, tmp_path: Path) -> None:
    file, *others = (numbered_file(CONTRACT, JANUARY, rows, "x", tmp_path / str(rows)) for rows in (1_000, 1, 2))
    other = cycle(others)
    google.faults = [
        Fault(
            lambda request: request.sends_bytes and request.size > file.bytes,
            times=ALWAYS,
            first=lambda: lake.put(CONTRACT, JANUARY, next(other)),
        )
    ]
    with pytest.raises(LakeError, match="replaced by somebody else, or the upload lost, 20 times in a row") as raised:
        lake.put(CONTRACT, JANUARY, file)
    assert raised.value.may_pass_later
    assert lake.get(CONTRACT, JANUARY).sha256 in {it.sha256 for it in others}


def test_a_file_that_changes_between_two_chunks_is_refused_and_the_old_object_stays(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile, large: ParquetFile, tmp_path: Path
) -> None:
    lake.put(CONTRACT, JANUARY, small)
    file = copy_of(large, tmp_path)
    google.faults = [Fault(UPLOADS, first=lambda: overwrite_end(file.path))]
    with pytest.raises(LakeError, match="probe 2021-01: the copy is not equal to the cleaned file"):
        lake.put(CONTRACT, JANUARY, file)
    assert google.content(lake.bucket, OBJECT) == small.path.read_bytes()


def test_an_object_that_is_not_what_was_sent_does_not_stay(
    lake: GCSLake, google: GoogleStorage, large: ParquetFile, tmp_path: Path
) -> None:
    file = copy_of(large, tmp_path)

    def change_and_hide_it() -> None:
        overwrite_end(file.path)
        for upload in google.storage.resumable.values():
            upload["crc32c"] = None

    google.faults = [Fault(UPLOADS, first=change_and_hide_it)]
    with pytest.raises(LakeError, match="what was stored is not what was sent"):
        lake.put(CONTRACT, JANUARY, file)
    assert google.names(lake.bucket) == []


def test_what_another_writer_put_there_meanwhile_is_not_removed_with_what_arrived_wrong(
    lake: GCSLake, google: GoogleStorage, large: ParquetFile, tmp_path: Path
) -> None:
    file, other = copy_of(large, tmp_path), numbered_file(CONTRACT, JANUARY, 4, "other", tmp_path / "other")

    def change_and_hide_it() -> None:
        overwrite_end(file.path)
        for upload in google.storage.resumable.values():
            upload["crc32c"] = None

    google.faults = [
        Fault(UPLOADS, first=change_and_hide_it),
        Fault(lambda request: request.method == "DELETE", first=lambda: lake.put(CONTRACT, JANUARY, other)),
    ]
    with pytest.raises(LakeError, match="what was stored is not what was sent"):
        lake.put(CONTRACT, JANUARY, file)
    assert all(fault.times == 0 for fault in google.faults)
    assert google.content(lake.bucket, OBJECT) == other.path.read_bytes()
    (deletion,) = (request.path for request in google.requests if request.method == "DELETE")
    assert "ifGenerationMatch=" in deletion


@pytest.mark.parametrize("size", ["small", "large"])
def test_bytes_that_change_on_the_way_are_refused_by_google_and_the_old_object_stays(
    lake: GCSLake, google: GoogleStorage, tmp_path: Path, size: str, request: pytest.FixtureRequest
) -> None:
    old = numbered_file(CONTRACT, JANUARY, 4, "old", tmp_path / "old")
    lake.put(CONTRACT, JANUARY, old)
    google.faults = [Fault(UPLOADS, flips_a_sent_byte=True, times=ALWAYS)]
    with pytest.raises(LakeError):
        lake.put(CONTRACT, JANUARY, request.getfixturevalue(size))
    assert google.content(lake.bucket, OBJECT) == old.path.read_bytes()


def test_a_process_killed_in_the_middle_of_a_chunk_leaves_the_old_month(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile, large: ParquetFile, tmp_path: Path
) -> None:
    lake.put(CONTRACT, JANUARY, small)
    at_work, over = threading.Event(), threading.Event()
    half = Fault(UPLOADS, skip=1, hangs_up_after=MEGABYTE, first=lambda: at_work.set() or over.wait(60))
    google.faults = [half]
    url = f"gs://{lake.bucket}/{lake.prefix}"
    process = SPAWN.Process(target=put_month, args=(url, CONTRACT, JANUARY, [copy_of(large, tmp_path).path]))
    process.start()
    assert at_work.wait(60)
    process.kill()
    process.join()
    over.set()
    assert process.exitcode == -signal.SIGKILL
    assert lake.get(CONTRACT, JANUARY).sha256 == small.sha256

    lake.put(CONTRACT, JANUARY, large)
    assert lake.get(CONTRACT, JANUARY).sha256 == large.sha256
    assert google.names(lake.bucket) == [OBJECT]


def test_a_month_is_brought_here_once(lake: GCSLake, google: GoogleStorage, small: ParquetFile) -> None:
    lake.put(CONTRACT, JANUARY, small)
    first = lake.get(CONTRACT, JANUARY)
    assert (lake.get(CONTRACT, JANUARY), len(google.downloads())) == (first, 1)
    first.path.write_bytes(b"damaged")
    assert lake.get(CONTRACT, JANUARY).rows == 3
    assert len(google.downloads()) == 2


def test_a_reader_keeps_its_month_when_it_is_replaced_and_old_ones_go_when_nobody_asks_for_them(
    lake: GCSLake, small: ParquetFile, tmp_path: Path
) -> None:
    lake.put(CONTRACT, JANUARY, small)
    old = lake.get(CONTRACT, JANUARY)
    lake.put(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, 4, "new", tmp_path / "new"))
    new = lake.get(CONTRACT, JANUARY)
    assert (old.rows, new.rows) == (3, 4)

    yesterday = time.time() - 90_000
    os.utime(old.path, (yesterday, yesterday))
    assert lake.get(CONTRACT, JANUARY) == new
    assert [it for it in new.path.parent.iterdir() if it.suffix != ".lock"] == [new.path]


def test_an_old_version_somebody_asks_for_every_day_stays_when_others_are_cleared_away(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile, tmp_path: Path
) -> None:
    lake.put(CONTRACT, JANUARY, small)
    old = lake.get(CONTRACT, JANUARY)
    yesterday = time.time() - 90_000
    os.utime(old.path, (yesterday, yesterday))
    assert lake.get(CONTRACT, JANUARY) == old  # asked for again today

    lake.put(CONTRACT, JANUARY, numbered_file(CONTRACT, JANUARY, 4, "new", tmp_path / "new"))
    new = lake.get(CONTRACT, JANUARY)

    assert {old.path, new.path} <= set(new.path.parent.iterdir())


def test_a_month_replaced_while_it_is_fetched_is_the_new_one(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile, tmp_path: Path
) -> None:
    lake.put(CONTRACT, JANUARY, small)
    new = numbered_file(CONTRACT, JANUARY, 4, "new", tmp_path / "new")
    google.faults = [Fault(DOWNLOADS, first=lambda: lake.put(CONTRACT, JANUARY, new))]
    assert lake.get(CONTRACT, JANUARY).sha256 == new.sha256


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(DOWNLOADS, answers_only=5 * MEGABYTE, times=2),
        Fault(DOWNLOADS, flips_a_byte=True, times=2),
        Fault(DOWNLOADS, forgets_to_answer=True),
        Fault(DOWNLOADS, status=503),
    ],
)
def test_what_arrives_cut_or_changed_is_fetched_again(
    lake: GCSLake, google: GoogleStorage, large: ParquetFile, fault: Fault
) -> None:
    lake.put(CONTRACT, JANUARY, large)
    google.faults = [fault := replace(fault)]
    assert lake.get(CONTRACT, JANUARY).sha256 == large.sha256
    assert fault.times == 0
    gc.collect()  # Google's library leaves the socket of an answer it does not like to it, with a warning


def test_what_never_arrives_whole_is_never_shown(lake: GCSLake, google: GoogleStorage, small: ParquetFile) -> None:
    lake.put(CONTRACT, JANUARY, small)
    google.faults = [Fault(DOWNLOADS, flips_a_byte=True, times=ALWAYS)]
    with pytest.raises(LakeError, match="did not arrive as it is there, 20 times in a row") as raised:
        lake.get(CONTRACT, JANUARY)
    assert raised.value.may_pass_later
    assert list(lake.cache.rglob("*.parquet/*.parquet")) == []


def test_the_uri_of_a_month_is_told_without_fetching_it(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile
) -> None:
    lake.put(CONTRACT, JANUARY, small)
    assert lake.uri(CONTRACT, JANUARY) == f"gs://{lake.bucket}/{OBJECT}"
    assert google.downloads() == []
    with pytest.raises(LakeError, match=f"probe 2021-02: the lake does not hold this month at gs://{lake.bucket}/"):
        lake.uri(CONTRACT, FEBRUARY)


@pytest.mark.parametrize("prefix", ["", "with blank", "a#b?c", "Zürich 🚕", "it's [1]*", "100%25"])
def test_a_prefix_may_have_any_name(lake: GCSLake, small: ParquetFile, prefix: str) -> None:
    url = f"gs://{lake.bucket}/{prefix}".rstrip("/")
    assert open_lake(url, lake.cache).put(CONTRACT, JANUARY, small) == f"{url}/{object_key(CONTRACT, JANUARY)}"
    lake = GCSLake(lake.bucket, prefix, lake.cache, lake.google)
    assert lake.get(CONTRACT, JANUARY).sha256 == small.sha256


@pytest.mark.usefixtures("google")
def test_a_bucket_that_does_not_exist_is_told_from_a_month_that_is_not_there(
    small: ParquetFile, tmp_path: Path
) -> None:
    for error in errors_of(GCSLake("nobodys-bucket", "prefix", tmp_path, ApplicationDefault()), small):
        assert "The specified bucket does not exist" in str(error)
        assert "Fix: the bucket does not exist: set TAXI_LAKE_URL to one that does" in str(error)
        assert "gcloud storage buckets create gs://nobodys-bucket" in str(error)
        assert "does not hold" not in str(error)
        assert not error.may_pass_later


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "Google credentials.*Fix: set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file or TAXI_"),
        (403, r"Cause: 403 not for you\. Fix: grant the account the role roles/storage.objectUser on gs://"),
    ],
)
def test_a_refusal_says_what_to_set_or_grant(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile, status: int, said: str
) -> None:
    google.faults = [Fault(status=status, message="not for you", times=ALWAYS)]
    for error in errors_of(lake, small):
        assert matches(said, error)
        assert not error.may_pass_later
    assert len(google.requests) <= 6  # nobody knocks twice at a closed door


@pytest.mark.parametrize(
    ("status", "reason", "said", "may_pass"),
    [
        (
            403,
            "retentionPolicyNotMet",
            "keeps its objects.*TAXI_LAKE_URL to a bucket without retention.*buckets update gs://lake-",
            False,
        ),
        (403, "objectUnderActiveHold", "keeps its objects.*TAXI_LAKE_URL to a bucket without retention", False),
        (400, "userProjectMissing", "requester pays.*buckets update gs://.* --no-requester-pays", False),
        (403, "accountDisabled", "nobody pays for the project.*gcloud billing projects link", False),
        (403, "accessNotConfigured", "not switched on.*gcloud services enable", False),
        (403, "rateLimitExceeded", "too much was asked.*fewer months at the same time", True),
        (403, "quotaExceeded", "quota of Google's is used up.*wait until it is refilled", True),
        (403, "forbidden", "grant the account the role roles/storage.objectUser", False),
        (404, "notFound", "the bucket does not exist: set TAXI_LAKE_URL", False),
    ],
)
def test_a_refusal_is_told_by_googles_reason_and_not_by_its_status(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile, status: int, reason: str, said: str, may_pass: bool
) -> None:
    google.faults = [Fault(UPLOADS, status=status, message="so it is", reason=reason, times=ALWAYS)]
    if reason == "notFound":  # of an upload it may also mean that the upload is lost
        google.faults = [Fault(status=status, message="so it is", reason=reason, times=ALWAYS)]
    with pytest.raises(LakeError) as raised:
        lake.put(CONTRACT, JANUARY, small)
    assert matches(f"{said}", raised.value)
    assert "so it is" in str(raised.value)
    assert raised.value.may_pass_later is may_pass


def test_a_bucket_whose_requests_their_maker_pays_for_is_told_also_without_a_reason(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile
) -> None:
    told = "Bucket is a requester pays bucket but no user project provided."
    google.faults = [Fault(status=400, message=told, reason="required", times=ALWAYS)]
    for error in errors_of(lake, small):
        assert matches(
            f"which the platform does not do: 400 {told[:-1]}.*gs://{lake.bucket} --no-requester-pays", error
        )
        assert not error.may_pass_later


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_google_that_stays_down_is_given_up_after_a_while(
    lake: GCSLake, google: GoogleStorage, small: ParquetFile, status: int
) -> None:
    lake = GCSLake(lake.bucket, lake.prefix, lake.cache, lake.google, patience=0.3)
    google.faults = [Fault(status=status, message="come back later", times=ALWAYS)]
    for error in errors_of(lake, small):
        assert matches(f"Cause: {status} come back later. Fix: see whether Google Cloud or the network is down", error)
        assert error.may_pass_later


def test_nobody_there_is_told_within_seconds(
    small: ParquetFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_address[1]
    for host in (f"http://127.0.0.1:{port}", "http://nobody.invalid"):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
        started = time.monotonic()
        for error in errors_of(GCSLake("bucket", "", tmp_path, ApplicationDefault()), small):
            assert matches("no answer: .*host='(127.0.0.1|nobody.invalid)'", error)
            assert error.may_pass_later
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("kind", ["no file", "a folder", "no JSON", "no object", "no key", "the key instead of a file"])
def test_credentials_that_are_none_say_which_setting_to_mend(
    kind: str, small: ParquetFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "planted-secret"
    key = {"type": "service_account", "client_email": "me@example.com", "token_uri": "x", "private_key": secret}
    text = {"no JSON": secret, "no object": "[]", "no key": json.dumps(key)}
    path = tmp_path / "key.json"
    if kind in text:
        path.write_text(text[kind])
    setting = {"a folder": str(tmp_path), "the key instead of a file": json.dumps(key, indent=2)}.get(kind, str(path))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", setting)
    for error in errors_of(GCSLake("bucket", "", tmp_path, ApplicationDefault()), small):
        assert matches("no usable Google credentials: .*Fix: set GOOGLE_APPLICATION_CREDENTIALS to", error)
        assert secret not in everything_told(error)
        assert not error.may_pass_later


def test_a_key_google_does_not_take_is_not_shown(
    small: ParquetFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    answer = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    with token_endpoint(400, answer) as address:
        account = {"type": "service_account", "client_email": "me@example.com", "token_uri": address}
        (tmp_path / "key.json").write_text(json.dumps(account | {"private_key": key.decode()}))
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        for error in errors_of(GCSLake("bucket", "", tmp_path, ApplicationDefault()), small):
            assert "Google refused the credentials: invalid_grant: Invalid JWT Signature" in str(error)
            assert not error.may_pass_later
            assert not any(line in everything_told(error) for line in key.decode().splitlines())


def errors_of(lake: GCSLake, file: ParquetFile) -> list[LakeError]:
    """What each way to use a lake ends with."""
    errors: list[LakeError] = []
    for use in (
        lambda: lake.put(CONTRACT, JANUARY, file),
        lambda: lake.get(CONTRACT, JANUARY),
        lambda: lake.uri(CONTRACT, JANUARY),
    ):
        with pytest.raises(LakeError) as raised:
            use()
        errors.append(raised.value)
    return errors


def matches(pattern: str, error: LakeError) -> bool:
    return pytest.RaisesExc(LakeError, match=pattern).matches(error)


def everything_told(error: BaseException) -> str:
    """The error and whatever a traceback shows above it."""
    above = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return str(error) + (everything_told(above) if above else "")


def copy_of(file: ParquetFile, folder: Path) -> ParquetFile:
    path = folder / "copy"
    path.write_bytes(file.path.read_bytes())
    return ParquetFile(path)


def overwrite_end(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        (was,) = file.read(1)
        file.seek(-8, os.SEEK_END)
        file.write(bytes([was ^ 0xFF]))


@contextmanager
def token_endpoint(status: int, answer: dict[str, str]) -> Generator[str, None, None]:
    """Where a key is exchanged for a token, answering always the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/token"
        http.shutdown()
        thread.join()
