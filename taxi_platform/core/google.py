"""Google's clients: who makes them, and what their errors mean to the person who has to mend it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from taxi_platform.core.errors import TaxiPlatformError

if TYPE_CHECKING:
    from google.cloud import bigquery, storage

_SET_CREDENTIALS = (
    "set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file or TAXI_GCP_CREDENTIALS to the key itself, "
    "or run: gcloud auth application-default login"
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

    def told(cause: str, fix: str, *, may_pass_later: bool = False) -> TaxiPlatformError:
        return raised(what, where=where, cause=cause, fix=fix, may_pass_later=may_pass_later)

    later = "see whether Google Cloud or the network is down, then run it again; nothing is half done"
    try:
        yield
    except auth.DefaultCredentialsError as error:
        raise told(f"no usable Google credentials: {_first_line(error)}", _SET_CREDENTIALS) from error
    except (auth.TransportError, requests.ConnectionError, requests.Timeout, api.RetryError) as error:
        raise told(f"no answer: {_first_line(error)}", later, may_pass_later=True) from error
    except (auth.GoogleAuthError, api.Unauthorized) as error:
        raise told(f"Google refused the credentials: {_first_line(error)}", _SET_CREDENTIALS) from error
    except api.Forbidden as error:
        raise told(_first_line(error), f"grant the account {roles}") from error
    except api.NotFound as error:
        raise told(_first_line(error), absent) from error
    except (api.TooManyRequests, api.ServerError) as error:
        raise told(_first_line(error), later, may_pass_later=True) from error
    except api.GoogleAPIError as error:
        raise told(_first_line(error), "see what Google says above, then run it again") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
