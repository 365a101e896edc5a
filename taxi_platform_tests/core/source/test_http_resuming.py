"""Downloads that were interrupted: by the server, by the network, or by the end of the process."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import pytest

from taxi_platform.core.source import Publication, RetryPolicy, UnavailableError
from taxi_platform.core.source.partial import Partial
from taxi_platform_tests.core.source import months
from taxi_platform_tests.core.source.conftest import IMPATIENT, LOG, Fetcher
from taxi_platform_tests.core.source.server import Answer, Server, StoredFile

PATH = f"/{months.CSV}"
PART, RECORD = f".{months.CSV}.part", f".{months.CSV}.part.json"
MONDAY = "Mon, 04 Jul 2022 10:00:00 GMT"
TUESDAY = "Tue, 05 Jul 2022 10:00:00 GMT"
BODY = months.csv(8000)
NEWER = months.csv(9000, seed=1)
HALF = len(BODY) // 2


def test_a_cut_download_is_taken_up_at_the_byte_it_stopped_at(
    fetch: Fetcher, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.serve(PATH, StoredFile(BODY, cut_at=HALF), StoredFile(BODY))

    with caplog.at_level(logging.INFO):
        raw = fetch(server.url).raw

    first, second = server.asked(PATH)
    assert "Range" not in first.headers
    assert second.headers["Range"] == f"bytes={HALF}-"
    assert second.headers["If-Range"] == '"v1"'
    assert raw.path.read_bytes() == BODY
    assert raw.publication.bytes == len(BODY)
    assert server.sent == len(BODY)
    assert f"taking up the download at byte {HALF:,}" in caplog.text
    assert fetch.left == {months.CSV, "provenance.json"}


def test_a_download_that_is_cut_again_and_again_arrives_piece_by_piece(fetch: Fetcher, server: Server) -> None:
    cut = StoredFile(BODY, cut_at=len(BODY) // 3)
    server.serve(PATH, cut, cut, StoredFile(BODY))
    assert fetch(server.url).raw.path.read_bytes() == BODY
    assert server.sent == len(BODY)


@pytest.mark.parametrize("etag", [None, 'W/"v1"'], ids=["no etag", "a weak etag"])
def test_without_a_strong_etag_the_time_of_change_says_which_version_to_take_up(
    fetch: Fetcher, server: Server, etag: str | None
) -> None:
    whole = StoredFile(BODY, etag, MONDAY)
    server.serve(PATH, StoredFile(BODY, etag, MONDAY, cut_at=HALF), whole)
    assert fetch(server.url).raw.path.read_bytes() == BODY
    assert server.asked(PATH)[1].headers["If-Range"] == MONDAY
    assert server.sent == len(BODY)


def test_a_download_of_no_known_version_starts_anew(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, StoredFile(BODY, 'W/"v1"', cut_at=HALF), StoredFile(BODY, 'W/"v1"'))
    assert fetch(server.url).raw.path.read_bytes() == BODY
    assert "Range" not in server.asked(PATH)[1].headers


@pytest.mark.parametrize("ignores_if_range", [False, True], ids=["a good server", "a server that ignores If-Range"])
def test_a_file_that_changed_in_between_is_started_anew(fetch: Fetcher, server: Server, ignores_if_range: bool) -> None:
    newer = StoredFile(NEWER, '"v2"', ignores_if_range=ignores_if_range)
    server.serve(PATH, StoredFile(BODY, cut_at=HALF), newer)

    raw = fetch(server.url).raw

    assert raw.path.read_bytes() == NEWER
    assert raw.publication.etag == '"v2"'


@pytest.mark.parametrize("etag", [None, 'W/"v1"'], ids=["no etag", "the same weak etag"])
def test_the_rest_of_a_file_that_was_changed_at_another_time_is_not_appended(
    fetch: Fetcher, server: Server, etag: str | None
) -> None:
    same_size = BODY.replace(b"1", b"7")
    newer = StoredFile(same_size, etag, TUESDAY, ignores_if_range=True)
    server.serve(PATH, StoredFile(BODY, etag, MONDAY, cut_at=HALF), newer)
    raw = fetch(server.url).raw
    assert raw.path.read_bytes() == same_size
    assert raw.publication.last_modified == TUESDAY


def test_the_rest_of_a_file_of_the_same_size_and_time_under_another_etag_is_not_appended(
    fetch: Fetcher, server: Server
) -> None:
    same_size = BODY.replace(b"1", b"7")
    newer = StoredFile(same_size, '"v2"', MONDAY, ignores_if_range=True)
    server.serve(PATH, StoredFile(BODY, '"v1"', MONDAY, cut_at=HALF), newer)
    raw = fetch(server.url).raw
    assert raw.path.read_bytes() == same_size
    assert raw.publication.etag == '"v2"'


def test_the_rest_of_a_file_of_another_size_is_not_appended(fetch: Fetcher, server: Server) -> None:
    span = {"ETag": '"v1"', "Content-Range": f"bytes {HALF}-{len(NEWER) - 1}/{len(NEWER)}"}
    server.serve(PATH, StoredFile(BODY, cut_at=HALF), Answer(206, NEWER[HALF:], span), StoredFile(NEWER))
    assert fetch(server.url).raw.path.read_bytes() == NEWER


def test_the_rest_of_a_file_with_another_checksum_is_not_appended(fetch: Fetcher, server: Server) -> None:
    def md5(body: bytes) -> dict[str, str]:
        return {"Last-Modified": MONDAY, "x-ms-blob-content-md5": b64encode(hashlib.md5(body).digest()).decode()}

    other = NEWER[: len(BODY)]
    span = {"Content-Range": f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}"}
    first = Answer(200, BODY, md5(BODY), cut_at=HALF)
    server.serve(PATH, first, Answer(206, other[HALF:], md5(other) | span), Answer(200, BODY, md5(BODY)))
    assert fetch(server.url).raw.path.read_bytes() == BODY


def record(of: str, **changed: object) -> str:
    known = Publication(of, len(BODY), '"v1"', MONDAY)
    return json.dumps(known.__dict__ | changed)


@pytest.mark.parametrize(
    "changed",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "9" * 5000,
        "[" * 100_000,
        "\udc00",
        {"of_a_later_version": 1},
        {"etag": 5},
        {"etag": "a\nb"},
        {"etag": "\ud800"},
        {"etag": None, "last_modified": None},
        {"bytes": "many"},
        {"bytes": -1},
        {"bytes": HALF - 1},
        {"bytes": True},
        {"url": None},
        {"checksum": ["md5"]},
    ],
    ids=repr,
)
def test_a_record_that_cannot_be_trusted_never_fails_a_fetch_and_the_download_starts_anew(
    fetch: Fetcher, server: Server, changed: str | dict[str, object]
) -> None:
    url = f"{server.url}{PATH}"
    text = changed if isinstance(changed, str) else record(url, **changed)
    fetch.folder.mkdir(parents=True)
    (fetch.folder / PART).write_bytes(b"x" * HALF)
    (fetch.folder / RECORD).write_bytes(text.encode(errors="surrogatepass"))
    server.serve(PATH, StoredFile(BODY))

    assert fetch(server.url).raw.path.read_bytes() == BODY
    assert "Range" not in server.asked(PATH)[-1].headers
    assert fetch.left == {months.CSV, "provenance.json"}


def test_a_crash_between_a_new_record_and_its_first_byte_leaves_no_old_bytes_under_the_new_name(
    fetch: Fetcher, server: Server
) -> None:
    server.serve(PATH, StoredFile(BODY, cut_at=HALF))
    with pytest.raises(UnavailableError):
        fetch(server.url, RetryPolicy(attempts=1))
    new = Publication(f"{server.url}{PATH}", len(NEWER), '"v2"')
    # A process that dies right after it has recorded what it was about to fetch.
    die = "Partial.begin(Path(sys.argv[1]), Publication(*json.loads(sys.argv[2]))); os._exit(9)"
    imports = "import json, os, sys; from pathlib import Path; from taxi_platform.core.source.files import Publication"
    program = f"{imports}; from taxi_platform.core.source.partial import Partial; {die}"
    told = json.dumps([new.url, new.bytes, new.etag])
    command = [sys.executable, "-c", program, str(fetch.folder / PART), told]
    assert subprocess.run(command, cwd=Path(__file__).parents[3]).returncode == 9
    assert json.loads((fetch.folder / RECORD).read_text(encoding="utf-8"))["etag"] == '"v2"'
    server.serve(PATH, StoredFile(NEWER, '"v2"'))

    assert fetch(server.url).raw.path.read_bytes() == NEWER
    assert "Range" not in server.asked(PATH)[-1].headers


def test_old_bytes_are_gone_before_a_new_record_is_tried(tmp_path: Path) -> None:
    part, record_of_part = tmp_path / PART, tmp_path / RECORD
    part.write_bytes(BODY[:HALF])
    (record_of_part / "in the way").mkdir(parents=True)  # it cannot be written, as in a crash at this very moment
    with pytest.raises(OSError):
        Partial.begin(part, Publication("http://tlc/new", len(NEWER), '"v2"'))
    assert not part.exists()


def test_a_range_that_begins_elsewhere_is_not_appended(fetch: Fetcher, server: Server) -> None:
    elsewhere = Answer(206, BODY[:HALF], {"ETag": '"v1"', "Content-Range": f"bytes 0-{HALF - 1}/{len(BODY)}"})
    server.serve(PATH, StoredFile(BODY, cut_at=HALF), elsewhere, StoredFile(BODY))
    assert fetch(server.url).raw.path.read_bytes() == BODY


def test_a_server_without_ranges_sends_a_cut_file_whole_again(fetch: Fetcher, server: Server) -> None:
    headers = {"ETag": '"v1"'}
    server.serve(PATH, Answer(200, BODY, headers, cut_at=HALF), Answer(200, BODY, headers))
    assert fetch(server.url).raw.path.read_bytes() == BODY
    assert server.sent == HALF + len(BODY)


def test_a_body_that_is_cut_every_time_is_unavailable_and_says_what_is_missing(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, Answer(200, BODY, cut_at=HALF))
    with pytest.raises(UnavailableError, match=f"expected {len(BODY):,} bytes, got {HALF:,}") as error:
        fetch(server.url)
    assert error.value.may_pass_later
    assert len(server.asked(PATH)) == IMPATIENT.attempts


def test_what_an_earlier_process_left_is_taken_up(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, StoredFile(BODY, cut_at=HALF))
    with pytest.raises(UnavailableError):
        fetch(server.url, RetryPolicy(attempts=1))
    assert fetch.left == {PART, RECORD}
    assert json.loads((fetch.folder / RECORD).read_text(encoding="utf-8"))["etag"] == '"v1"'
    server.serve(PATH, StoredFile(BODY))

    raw = fetch(server.url, RetryPolicy(attempts=1)).raw

    assert server.asked(PATH)[-1].headers["Range"] == f"bytes={HALF}-"
    assert raw.path.read_bytes() == BODY
    assert server.sent == len(BODY)
    assert fetch.left == {months.CSV, "provenance.json"}


def test_a_part_that_is_whole_already_is_no_obstacle(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, StoredFile(BODY, cut_at=HALF))
    with pytest.raises(UnavailableError):
        fetch(server.url, RetryPolicy(attempts=1))
    (fetch.folder / PART).write_bytes(BODY)  # as if it had ended between its last byte and its last step
    server.serve(PATH, StoredFile(BODY))
    assert fetch(server.url).raw.path.read_bytes() == BODY


def test_a_download_that_cannot_be_taken_up_is_logged_without_the_password_and_started_anew(
    fetch: Fetcher, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.serve(PATH, StoredFile(BODY, cut_at=HALF), Answer(416), StoredFile(BODY))
    with caplog.at_level(logging.INFO, logger=LOG.name):
        raw = fetch(server.url.replace("http://", "http://reader:s3cret@")).raw
    assert raw.path.read_bytes() == BODY
    logged = [record.getMessage() for record in caplog.records if record.name == LOG.name]
    assert any("cannot take up the interrupted download at http://reader:***@" in message for message in logged)
    assert not any("s3cret" in message for message in logged)


@pytest.mark.parametrize("left", [{PART: b"junk"}, {RECORD: b"{}"}, {PART: b""}], ids=["a part", "a record", "nothing"])
def test_half_of_what_an_earlier_process_should_have_left_is_no_obstacle(
    fetch: Fetcher, server: Server, left: dict[str, bytes]
) -> None:
    fetch.folder.mkdir(parents=True)
    for name, content in left.items():
        (fetch.folder / name).write_bytes(content)
    server.serve(PATH, StoredFile(BODY))
    assert fetch(server.url).raw.path.read_bytes() == BODY
    assert fetch.left == {months.CSV, "provenance.json"}


def test_a_part_of_another_sources_file_is_not_taken_up(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, StoredFile(BODY, cut_at=HALF))
    with pytest.raises(UnavailableError):
        fetch(server.url, RetryPolicy(attempts=1))
    server.serve(f"/elsewhere{PATH}", StoredFile(NEWER))  # by chance under the same ETag

    assert fetch(f"{server.url}/elsewhere").raw.path.read_bytes() == NEWER


def test_a_body_that_stalls_is_given_up_and_taken_up_again(fetch: Fetcher, server: Server) -> None:
    stalled = Answer(200, BODY, {"ETag": '"v1"'}, stall_at=HALF)
    server.serve(PATH, stalled, StoredFile(BODY))

    started = time.monotonic()
    raw = fetch(server.url, RetryPolicy(attempts=2, first_wait=0.001, longest_wait=0.01, timeout=0.3)).raw

    assert time.monotonic() - started < 5
    assert raw.path.read_bytes() == BODY
    assert server.asked(PATH)[1].headers["Range"] == f"bytes={HALF}-"


def test_a_body_that_always_stalls_is_unavailable(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, Answer(200, BODY, stall_at=HALF))
    with pytest.raises(UnavailableError, match="dropped the line"):
        fetch(server.url, RetryPolicy(attempts=2, first_wait=0.001, longest_wait=0.01, timeout=0.2))
    assert len(server.asked(PATH)) == 2
