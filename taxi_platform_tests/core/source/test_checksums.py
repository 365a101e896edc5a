"""What servers announce of a whole file is held against the bytes that arrived."""

from __future__ import annotations

import hashlib
import json
import zlib
from base64 import b64encode

import google_crc32c
import pytest

from taxi_platform.core.source import CorruptError, RetryPolicy, UnavailableError
from taxi_platform_tests.core.source import months
from taxi_platform_tests.core.source.conftest import Fetcher
from taxi_platform_tests.core.source.server import Answer, Request, Server

PATH = f"/{months.CSV}"
BODY = months.csv(8000)
HALF = len(BODY) // 2
#: As long, as good a CSV, and other numbers: nothing but a checksum tells.
CHANGED = BODY[:HALF] + BODY[HALF:].replace(b"1", b"2", 1)


def coded(digest: bytes) -> str:
    return b64encode(digest).decode()


def md5(body: bytes) -> str:
    return coded(hashlib.md5(body).digest())


def sha256(body: bytes) -> str:
    return coded(hashlib.sha256(body).digest())


def crc32(body: bytes) -> str:
    return coded(zlib.crc32(body).to_bytes(4, "big"))


def crc32c(body: bytes) -> str:
    return coded(google_crc32c.value(body).to_bytes(4, "big"))


ANNOUNCED = {
    "Content-MD5": {"Content-MD5": md5(BODY)},
    "Azure": {"x-ms-blob-content-md5": md5(BODY)},
    "Google, both": {"x-goog-hash": f"crc32c={crc32c(BODY)},md5={md5(BODY)}"},
    "Google, composed": {"x-goog-hash": f"crc32c={crc32c(BODY)}"},
    "S3 SHA-256": {"x-amz-checksum-sha256": sha256(BODY), "x-amz-checksum-type": "FULL_OBJECT"},
    "S3 CRC-32": {"x-amz-checksum-crc32": crc32(BODY)},
    "S3 CRC-32C": {"x-amz-checksum-crc32c": crc32c(BODY)},
    "RFC 9530": {"Repr-Digest": f"md5=:{md5(BODY)}:, sha-256=:{sha256(BODY)}:"},
    "RFC 9530, of the content": {"Content-Digest": f"sha-256=:{sha256(BODY)}:"},
    "RFC 3230": {"Digest": f"SHA-256={sha256(BODY)}"},
    "RFC 3230, MD5": {"Digest": f"UNIXsum=30637,MD5={md5(BODY)}"},
}


@pytest.mark.parametrize("headers", ANNOUNCED.values(), ids=ANNOUNCED)
def test_bytes_that_are_not_what_the_server_announced_are_corrupt_and_leave_nothing(
    fetch: Fetcher, server: Server, headers: dict[str, str]
) -> None:
    server.serve(PATH, Answer(200, CHANGED, headers))
    with pytest.raises(CorruptError, match="what arrived is not what the server announced") as raised:
        fetch(server.url)
    assert f"{server.url}{PATH}" in str(raised.value)
    assert fetch.left == set()


@pytest.mark.parametrize("headers", ANNOUNCED.values(), ids=ANNOUNCED)
def test_bytes_that_are_what_was_announced_are_taken_and_the_checksum_is_recorded(
    fetch: Fetcher, server: Server, headers: dict[str, str]
) -> None:
    server.serve(PATH, Answer(200, BODY, headers))
    raw = fetch(server.url).raw
    kind, _, value = (raw.publication.checksum or "").partition(":")
    assert (
        value
        in {
            "sha-256": hashlib.sha256(BODY).hexdigest(),
            "md5": hashlib.md5(BODY).hexdigest(),
            "crc32": f"{zlib.crc32(BODY):08x}",
            "crc32c": f"{google_crc32c.value(BODY):08x}",
        }[kind]
    )
    assert json.loads((fetch.folder / "provenance.json").read_text())["publication"]["checksum"] == f"{kind}:{value}"
    assert type(raw).in_folder(fetch.folder) == raw


OF_SOMETHING_ELSE = {
    "the sums of parts": {"x-amz-checksum-sha256": f"{sha256(CHANGED)}-3"},
    "the sums of parts, said so": {"x-amz-checksum-crc32": crc32(CHANGED), "x-amz-checksum-type": "COMPOSITE"},
    "stored packed, sent unpacked": {"x-goog-hash": f"md5={md5(CHANGED)}", "x-goog-stored-content-encoding": "gzip"},
    "changed on the way": {"Content-MD5": md5(CHANGED), "Warning": "214 proxy transformed"},
    "an ETag like an MD5": {"ETag": f'"{hashlib.md5(CHANGED).hexdigest()}"'},
    "garbled": {"Content-MD5": "²²²", "x-goog-hash": "md5", "Repr-Digest": "sha-256=:?:", "Digest": "=,="},
    "too short": {"Content-MD5": md5(CHANGED)[:20], "x-amz-checksum-sha256": md5(CHANGED)},
    "empty": {"Content-MD5": "", "x-goog-hash": "", "Repr-Digest": "", "x-ms-blob-content-md5": " "},
    "of a kind nobody here knows": {
        "Repr-Digest": f"sha-1024=:{sha256(CHANGED)}:",
        "x-amz-checksum-crc64nvme": "AAAAAAAAAAA=",
    },
}


@pytest.mark.parametrize("headers", OF_SOMETHING_ELSE.values(), ids=OF_SOMETHING_ELSE)
def test_what_is_no_checksum_of_the_whole_file_is_no_obstacle(
    fetch: Fetcher, server: Server, headers: dict[str, str]
) -> None:
    headers = {name: text.encode().decode("latin-1") for name, text in headers.items()}
    server.serve(PATH, Answer(200, BODY, headers))
    raw = fetch(server.url).raw
    assert raw.path.read_bytes() == BODY
    assert raw.publication.checksum is None


@pytest.mark.parametrize("rest", [BODY[HALF:], CHANGED[HALF:]], ids=["the same", "other bytes"])
@pytest.mark.parametrize("of_the_range", [False, True], ids=["no more said", "the range's own MD5"])
def test_a_checksum_is_remembered_with_the_part_and_held_against_both_halves(
    fetch: Fetcher, server: Server, rest: bytes, of_the_range: bool
) -> None:
    server.serve(PATH, Answer(200, BODY, {"ETag": '"v1"', "Content-MD5": md5(BODY)}, cut_at=HALF))
    with pytest.raises(UnavailableError):
        fetch(server.url, RetryPolicy(attempts=1))
    span = {"ETag": '"v1"', "Content-Range": f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}"}
    server.serve(PATH, Answer(206, rest, span | ({"Content-MD5": md5(rest)} if of_the_range else {})))

    if rest == BODY[HALF:]:
        assert fetch(server.url).raw.path.read_bytes() == BODY
    else:
        with pytest.raises(CorruptError, match=r"what arrived is not what the server announced \(MD5"):
            fetch(server.url)
        assert fetch.left == set()


def test_a_checksum_that_only_the_rest_announces_is_of_the_whole(fetch: Fetcher, server: Server) -> None:
    def answer(request: Request) -> Answer:
        if "Range" not in request.headers:
            return Answer(200, BODY, {"ETag": '"v1"'}, cut_at=HALF)
        span = {"ETag": '"v1"', "Content-Range": f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}"}
        return Answer(206, CHANGED[HALF:], span | {"x-ms-blob-content-md5": md5(BODY)})

    server.serve(PATH, answer)
    with pytest.raises(CorruptError, match="what arrived is not what the server announced"):
        fetch(server.url)


def test_a_good_file_stands_when_another_does_not_have_its_checksum(fetch: Fetcher, server: Server) -> None:
    server.serve(PATH, Answer(200, BODY, {"ETag": '"v1"', "Content-MD5": md5(BODY)}))
    good = fetch(server.url).raw
    server.serve(PATH, Answer(200, CHANGED, {"ETag": '"v2"', "Content-MD5": md5(BODY)}))
    with pytest.raises(CorruptError):
        fetch(server.url)
    assert type(good).in_folder(fetch.folder) == good
    assert good.path.read_bytes() == BODY
