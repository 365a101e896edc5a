"""What Google's libraries raise becomes what failed, why, and what to set, grant or create."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from taxi_platform.core.errors import LakeError, WarehouseError
from taxi_platform.core.google import explained, made

KEY = json.dumps({"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nplanted\n"})
CREDENTIALS = "Fix: set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file or TAXI_GCP_CREDENTIALS to"
LATER = "Fix: see whether Google Cloud or the network is down, then run it again"
GRANT, CREATE = "Fix: grant the account the role of a reader", "Fix: create it"


@pytest.mark.parametrize(
    ("error", "cause", "fix", "may_pass_later"),
    [
        (auth.DefaultCredentialsError("File /k not found"), "no usable Google credentials: File", CREDENTIALS, False),
        (auth.DefaultCredentialsError("no json file", ValueError("x")), "credentials: no json", CREDENTIALS, False),
        (auth.RefreshError("invalid_grant: x", {"error": "x"}), "credentials: invalid_grant: x.", CREDENTIALS, False),
        (auth.RefreshError("unavailable", retryable=True), "Cause: unavailable", LATER, True),
        (auth.TransportError(requests.ConnectionError("refused")), "no answer: refused", LATER, True),
        (requests.ConnectionError("refused"), "no answer: refused", LATER, True),
        (requests.ReadTimeout("60 s"), "no answer: 60 s", LATER, True),
        (requests.exceptions.ChunkedEncodingError("cut"), "no answer: cut", LATER, True),
        (api.Unauthorized("who?"), "Google refused the credentials: 401 who?", CREDENTIALS, False),
        (api.Forbidden("not you"), "Cause: 403 not you", GRANT, False),
        (api.NotFound("no bucket"), "Cause: 404 no bucket", CREATE, False),
        (api.TooManyRequests("slower"), "Cause: 429 slower", LATER, True),
        (api.ServiceUnavailable("closed"), "Cause: 503 closed", LATER, True),
        (api.RetryError("Timeout exceeded", api.ServiceUnavailable("closed")), "Cause: 503 closed", LATER, True),
        (api.RetryError("Timeout exceeded", requests.ConnectionError("refused")), "no answer: refused", LATER, True),
        (api.RetryError("Timeout exceeded", None), "Cause: Timeout exceeded", LATER, True),
        (api.BadRequest("a\nb"), "Cause: 400 a. Fix: see what Google says above", "", False),
    ],
    ids=lambda it: type(it).__name__ if isinstance(it, Exception) else "",
)  # fmt: skip
def test_each_error_has_its_cause_and_its_fix(error: Exception, cause: str, fix: str, may_pass_later: bool) -> None:
    told = explanation_of(error)
    assert cause in str(told)
    assert fix in str(told)
    assert str(told).startswith("it was not stored at gs://bucket/object. Cause: ")
    assert told.may_pass_later is may_pass_later


def test_googles_own_sentence_is_told_and_not_the_request_around_it() -> None:
    response = requests.Response()
    response._content = b'{\n "error": {"code": 503, "message": "We are closed."}\n}'
    url = "https://storage.googleapis.com/upload?upload_id=planted"
    error = api.ServiceUnavailable(f"PUT {url}: {response.text}: (...)", response=response)
    assert "Cause: 503 We are closed. Fix" in str(explanation_of(error)).replace("..", ".")


@pytest.mark.parametrize(
    "text",
    [
        f"File {KEY} was not found.",
        f"File {json.dumps(json.loads(KEY), indent=2)} was not found.",
        f"File {b64encode(KEY.encode()).decode()} was not found.",
        f"File {b64encode(json.dumps(json.loads(KEY), indent=2).encode()).decode()} was not found.",
        "503 PUT https://storage.googleapis.com/upload/b?uploadType=resumable&upload_id=planted: closed",
        "Bearer ya29.planted-token is over",
    ],
)
@pytest.mark.parametrize("kind", [auth.DefaultCredentialsError, api.ServiceUnavailable, requests.ConnectionError])
def test_secrets_are_not_told(text: str, kind: type[Exception]) -> None:
    told = explanation_of(kind(text))
    assert "planted" not in str(told)
    assert b64encode(KEY.encode()).decode()[20:40] not in str(told)
    assert told.__cause__ is None
    assert told.__suppress_context__


@pytest.mark.parametrize("error", [LakeError("mine"), OSError("a disk"), KeyError("a mistake")])
def test_what_is_not_googles_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, explaining():
        raise error
    assert raised.value is error


@pytest.mark.parametrize("error", [IsADirectoryError(21, "Is a directory", "/keys"), AttributeError("no 'get'")])
def test_a_key_file_that_cannot_be_read_is_about_the_credentials(error: Exception) -> None:
    def make() -> None:
        raise error

    with pytest.raises(LakeError, match="no usable Google credentials: the key file is not usable"), explaining():
        made(make)


def test_the_error_is_of_the_kind_asked_for() -> None:
    with pytest.raises(WarehouseError), explained(WarehouseError, "no", where="x", absent="y", roles="z"):
        raise api.NotFound("gone")


def explaining() -> Any:
    return explained(
        LakeError, "it was not stored", where="gs://bucket/object", absent="create it", roles="the role of a reader"
    )


def explanation_of(error: Exception) -> LakeError:
    with pytest.raises(LakeError) as raised, explaining():
        raise error
    return raised.value
