"""What Azure's error codes mean to the person who has to mend it, and whether it may pass.

The codes are those of https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes and of
https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from azure.core import exceptions as azure

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.google_reasons import Reason
from taxi_platform.core.urls import mask_text

_SET_CREDENTIALS = (
    "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY; or the name "
    "alone, and log in with az login or give the machine an identity"
)
_LATER = "see whether Azure or the network is down, then run it again; nothing is half done"
#: What an error may quote of a connection string or of a signed URL.
_SECRET = re.compile(r"(?i)(AccountKey|SharedAccessSignature|sig)=[^;&\s]+")
_RIGHTS = Reason(
    "the account may not do this, or its key is another one",
    "grant it the role Storage Blob Data Contributor on the container {container} and let this machine in by the "
    "account's network rules, or " + _SET_CREDENTIALS,
)
_KEPT = Reason(
    "the container keeps its blobs: a policy, a hold or a lease forbids to replace what is there",
    "a month that is published anew has to be replaced: set TAXI_LAKE_URL to a container without any",
)
_BUSY = Reason("Azure has a fault, or is overloaded", _LATER, may_pass_later=True)
_REASONS: dict[str, Reason] = {
    "ContainerNotFound": Reason(
        "the container does not exist",
        "set TAXI_LAKE_URL to one that does, or create it with az storage container create --name {container}",
    ),
    "ContainerBeingDeleted": Reason(
        "the container is being deleted", "wait a minute, create it again, then run it again", may_pass_later=True
    ),
    "AuthenticationFailed": _RIGHTS,
    "AuthorizationFailure": _RIGHTS,
    "AuthorizationPermissionMismatch": _RIGHTS,
    "AuthorizationProtocolMismatch": _RIGHTS,
    "InsufficientAccountPermissions": _RIGHTS,
    "KeyBasedAuthenticationNotPermitted": Reason(
        "the storage account takes no keys", "remove AZURE_STORAGE_ACCOUNT_KEY, and log in with az login"
    ),
    "AccountIsDisabled": Reason("the storage account is disabled", "see its subscription in Azure's portal"),
    "BlobArchived": Reason(
        "the blob was moved to an archive",
        "bring it back with az storage blob set-tier --tier Hot, and keep rules that archive away from the lake",
    ),
    "BlobImmutableDueToPolicy": _KEPT,
    "LeaseIdMissing": _KEPT,
    "ServerBusy": _BUSY,
    "InternalError": _BUSY,
    "OperationTimedOut": _BUSY,
}
_NO_ANSWER = (azure.ServiceRequestError, azure.ServiceResponseError, azure.IncompleteReadError)


@contextmanager
def explained(raised: type[TaxiPlatformError], what: str, *, where: str, container: str) -> Generator[None, None, None]:
    """Turn what Azure's library raises in the block into an error a person can act on.

    Args:
        raised: The error to raise.
        what: What could not be done, as a sentence without its full stop.
        where: The container or blob concerned.
        container: The container's name.
    """
    try:
        yield
    except azure.AzureError as error:
        words = _words(error)
        code = code_of(error)
        status = getattr(error, "status_code", None) or 0
        meaning = _REASONS.get(code) or (_BUSY if status >= 500 or status == 429 else None)
        may_pass_later = False
        if meaning:
            cause, fix = f"{meaning.why}: {code or status} {words}", meaning.fix.format(container=container)
            may_pass_later = meaning.may_pass_later
        elif isinstance(error, azure.ClientAuthenticationError):
            cause, fix = f"no usable credentials: {words}", _SET_CREDENTIALS
        elif isinstance(error, _NO_ANSWER):
            cause, fix, may_pass_later = f"no answer: {words}", _LATER, True
        else:
            cause, fix = f"{code or status} {words}", "see what Azure says above, then run it again"
        # Not `from error`: what it says is in the cause.
        raise raised(what, where=where, cause=cause, fix=fix, may_pass_later=may_pass_later) from None


def code_of(error: Exception) -> str:
    """The code of an answer; empty where it has none."""
    code: Any = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _words(error: Exception) -> str:
    """What an error says, in one line and without secrets."""
    text = mask_text(_SECRET.sub(r"\1=***", str(error))).strip()
    return (text.splitlines() or [type(error).__name__])[0].rstrip(".")
