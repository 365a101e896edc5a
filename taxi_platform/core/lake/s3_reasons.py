"""What S3's refusals mean, and what somebody can do about them."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from taxi_platform.core.errors import LakeError

_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or any other of AWS's own ways"
_RIGHTS = "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket and s3:AbortMultipartUpload"
#: Code -> what to do about it.
_FIXES = {
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "ExpiredToken": "get new credentials: those that were given have run out",
    "RequestTimeTooSkewed": "set this machine's clock",
    "PermanentRedirect": "name the bucket's own region, as ?region=… in TAXI_LAKE_URL or AWS_REGION",
    "301": "name the bucket's own region, as ?region=… in TAXI_LAKE_URL or AWS_REGION",
    "AuthorizationHeaderMalformed": "name the bucket's own region, as ?region=… in TAXI_LAKE_URL or AWS_REGION",
    "NotImplemented": "the service does not know conditional puts or checksums: take one that does",
}
#: What passes by itself.
_PASSING = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "500", "502", "503", "504", "429"}


def code_of(error: ClientError) -> str:
    """The service's word for what is wrong, or the number of its answer."""
    return str(cast(Any, error).response.get("Error", {}).get("Code", ""))


@contextmanager
def explained(what: str, where: str, bucket: str, endpoint: str) -> Generator[None, None, None]:
    """Turn what boto3 raises in the block into an error a person can act on.

    Args:
        what: What could not be done.
        where: With which object.
        bucket: The bucket's name.
        endpoint: Whose S3 it is; empty: Amazon's.

    Raises:
        LakeError: With the cause and a fix.
    """
    try:
        yield
    except ClientError as error:
        code, told = code_of(error), str(cast(Any, error).response.get("Error", {}).get("Message", ""))
        raise LakeError(
            what,
            where=where,
            cause=f"{code}: {told}" if told and told != code else code,
            fix=_fix(code, bucket),
            may_pass_later=code in _PASSING,
        ) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise LakeError(what, where=where, cause="there are no credentials", fix=_CREDENTIALS) from error
    except NoRegionError as error:
        fix = "say which, as ?region=… in TAXI_LAKE_URL or AWS_REGION"
        raise LakeError(what, where=where, cause="nobody says in which region the bucket is", fix=fix) from error
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise LakeError(
            what,
            where=where,
            cause=f"nobody answers at {endpoint or 'Amazon'}",
            fix="check the network, and ?endpoint=… in TAXI_LAKE_URL",
            may_pass_later=True,
        ) from error
    except (HTTPClientError, ConnectionError) as error:
        cause, fix = f"the line broke: {error}", "run the month again"
        raise LakeError(what, where=where, cause=cause, fix=fix, may_pass_later=True) from error
    except BotoCoreError as error:
        raise LakeError(what, where=where, cause=str(error), fix="see AWS's own variables and files") from error


def _fix(code: str, bucket: str) -> str:
    if code in ("NoSuchBucket", "404"):
        return f"the bucket does not exist: set TAXI_LAKE_URL to one that does, or create it (aws s3 mb s3://{bucket})"
    if code in ("AccessDenied", "403", "AllAccessDisabled"):
        return f"grant these credentials {_RIGHTS} on {bucket}"
    return _FIXES.get(code, "run the month again; if it says the same, see the service's documentation")
