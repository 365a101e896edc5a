"""Google's clients: who makes them, and what their errors mean to the person who has to mend it."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.google_reasons import reason_of, reasons_in
from taxi_platform.core.urls import mask_text

if TYPE_CHECKING:
    from google.cloud import bigquery, storage
    from google.oauth2 import service_account

Client = TypeVar("Client")

_SET_CREDENTIALS = (
    "set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file or TAXI_GCP_CREDENTIALS to the key itself, "
    "or run: gcloud auth application-default login"
)
_LATER = "see whether Google Cloud or the network is down, then run it again; nothing is half done"
#: What an error may quote: a key that was set where a file name belongs (as JSON, as base64 of it), and access tokens.
_SECRET = re.compile(
    r"(?s)\{.*private_key.*\}|-----BEGIN.*?(?:-----END[^-]*-----|$)|\b(?:eyJ|ewo|eyA)[\w+/=.-]{16,}|\bya29\.[\w.-]+"
)


class GoogleClients(Protocol):
    """Makes clients that carry somebody's credentials."""

    def storage(self) -> storage.Client:
        """A client of Cloud Storage."""
        ...

    def bigquery(self, project: str) -> bigquery.Client:
        """A client of BigQuery that works on behalf of a project."""
        ...


class ApplicationDefault:
    """Clients with the credentials Google's libraries find by themselves (a key file, gcloud's, the machine's own)."""

    def storage(self) -> storage.Client:
        """See `GoogleClients.storage`."""
        from google.cloud import storage

        return storage.Client(project=None)

    def bigquery(self, project: str) -> bigquery.Client:
        """See `GoogleClients.bigquery`."""
        from google.cloud import bigquery

        return bigquery.Client(project=project)


@dataclass(frozen=True)
class ServiceAccount:
    """Clients with a service account's key, which goes from memory to the client: by no file, and no variable.

    Both would be the whole process's: of clients made at the same time some would get no key or another's, and what is
    started meanwhile would have it.

    Attributes:
        key: The content of its key file, as JSON or in base64.
    """

    key: str = field(repr=False)

    def storage(self) -> storage.Client:
        """See `GoogleClients.storage`."""
        from google.cloud import storage

        # What answers without https is an emulator, which asks nobody who they are and has to be told nothing.
        emulator: Any = storage.Client.create_anonymous_client()
        if not emulator.api_endpoint.startswith("https://"):
            return emulator
        return storage.Client(project=None, credentials=self._credentials())

    def bigquery(self, project: str) -> bigquery.Client:
        """See `GoogleClients.bigquery`."""
        from google.cloud import bigquery

        return bigquery.Client(project=project, credentials=self._credentials())

    def _credentials(self) -> service_account.Credentials:
        from google.auth.exceptions import DefaultCredentialsError
        from google.oauth2 import service_account

        kind: Any = service_account.Credentials
        try:
            return kind.from_service_account_info(key_of(self.key))
        # What a library says of a key it cannot read may quote the key.
        except (DefaultCredentialsError, AttributeError, TypeError, ValueError):
            raise DefaultCredentialsError("TAXI_GCP_CREDENTIALS is not a key that Google's library can use") from None


def key_of(text: str) -> dict[str, Any]:
    """A service account's key, from its JSON or that in base64.

    Raises:
        ValueError: It is neither.
    """
    key: Any = json.loads(text if text.startswith("{") else base64.b64decode(text, validate=True))
    if not isinstance(key, dict) or key.get("type") != "service_account":  # pyright: ignore[reportUnknownMemberType]
        raise ValueError("this is not a service account's key")
    return key  # pyright: ignore[reportUnknownVariableType]


def made(make: Callable[[], Client]) -> Client:
    """Make a client; a key file that cannot be read as one is an error of the credentials like any other.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: There are no credentials to make a client with.
    """
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return make()
    except (OSError, AttributeError, TypeError, ValueError) as error:  # a folder, JSON that is no object
        raise DefaultCredentialsError(f"the key file is not usable: {error}") from None


@contextmanager
def explained(
    raised: type[TaxiPlatformError], what: str, *, where: str, absent: str, roles: str
) -> Generator[None, None, None]:
    """Turn what Google's libraries raise in the block into an error a person can act on.

    Args:
        raised: The error to raise.
        what: What could not be done, as a sentence without its full stop.
        where: The bucket, object, dataset or table concerned.
        absent: What to do if it does not exist.
        roles: What the account must be allowed, if it is not.
    """
    import requests
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    try:
        yield
    except (auth.GoogleAuthError, api.GoogleAPIError, requests.RequestException) as error:
        # Behind the words of whoever gave up retrying are those of what went wrong.
        reason: Any = error.cause if isinstance(error, api.RetryError) and error.cause else error
        words = _words(reason)
        refused = isinstance(reason, auth.GoogleAuthError | api.Unauthorized) and not getattr(
            reason, "retryable", False
        )
        may_pass_later = False
        meaning = reason_of(reasons_in(reason), words)
        if isinstance(reason, auth.DefaultCredentialsError):
            cause, fix = f"no usable Google credentials: {words}", _SET_CREDENTIALS
        elif isinstance(reason, auth.TransportError | requests.RequestException):
            cause, fix, may_pass_later = f"no answer: {words}", _LATER, True
        elif refused:
            cause, fix = f"Google refused the credentials: {words}", _SET_CREDENTIALS
        elif meaning is not None:
            place = where.partition("://")[2].partition("/")[0]
            cause, fix = f"{meaning.why}: {words}", meaning.fix.format(place=place)
            may_pass_later = meaning.may_pass_later
        elif isinstance(reason, api.Forbidden):
            cause, fix = words, f"grant the account {roles}"
        elif isinstance(reason, api.NotFound):
            cause, fix = words, absent
        elif isinstance(reason, api.TooManyRequests | api.ServerError | api.RetryError | auth.GoogleAuthError):
            cause, fix, may_pass_later = words, _LATER, True
        else:
            cause, fix = words, "see what Google says above, then run it again"
        # Not `from error`: it may quote the key, and what it says is in the cause.
        raise raised(what, where=where, cause=cause, fix=fix, may_pass_later=may_pass_later) from None


def _words(error: Exception) -> str:
    """What an error says, in one line and without secrets."""
    try:  # Google's own sentence, which its libraries bury in the request and the answer
        sentence = getattr(error, "response").json()["error"]["message"]  # noqa: B009 (not every error has one)
        text = f"{getattr(error, 'code')} {sentence}"  # noqa: B009
    except (AttributeError, LookupError, TypeError, ValueError):
        # Of several arguments the first is the sentence; printed, they would be a tuple.
        text = str(error.args[0] if len(error.args) > 1 and isinstance(error.args[0], str) else error)
    return (mask_text(_SECRET.sub("***", text)).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
