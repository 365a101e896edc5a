"""What S3's error codes mean to the person who has to mend it, and whether it may pass.

The status alone does not say: a 403 is a right that is missing, a key nobody knows or a clock that is wrong. The codes
are those of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; other services use the same ones.
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.google_reasons import Reason
from taxi_platform.core.urls import mask_text

_SET_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if they came with one) or AWS_PROFILE, "
    "or give the machine a role"
)
_LATER = "see whether {service} or the network is down, then run it again; nothing is half done"
_UNKNOWN = Reason("S3 does not know the credentials", _SET_CREDENTIALS)
_EXPIRED = Reason("the credentials have expired", f"get new ones, or {_SET_CREDENTIALS}")
_RIGHTS = Reason(
    "the account may not do this",
    "grant it s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on arn:aws:s3:::{bucket}/*, "
    "s3:ListBucket and s3:ListBucketMultipartUploads on arn:aws:s3:::{bucket}, and the use of the bucket's key if it "
    "is encrypted with one",
)
_ABSENT = Reason(
    "the bucket does not exist",
    "set TAXI_LAKE_URL to one that does, or create it with aws s3api create-bucket --bucket {bucket}",
)
_REGION = Reason(
    "the bucket lies in another region than was asked",
    "say which in the URL (TAXI_LAKE_URL=s3://{bucket}/…?region=…) or in AWS_DEFAULT_REGION; "
    "aws s3api get-bucket-location --bucket {bucket} tells it",
)
_BUSY = Reason("S3 has a fault, or is overloaded", _LATER, may_pass_later=True)
_ARCHIVED = Reason(
    "the object was moved to an archive",
    "restore it with aws s3api restore-object, and keep rules that archive away from the lake",
)
_LOCKED = Reason(
    "the bucket keeps its objects: a lock forbids to replace what is there",
    "a month that is published anew has to be replaced: set TAXI_LAKE_URL to a bucket without an object lock",
)
_LACKING = Reason(
    "this service cannot do what a lake needs: puts on condition (If-Match, If-None-Match), multiparts, and CRC32C "
    "checksums of whole objects",
    "use a release of it, or a service, that can",
)
#: A code -> what it means. Of an answer without a body the code is its status.
_REASONS: dict[str, Reason] = {
    "InvalidAccessKeyId": _UNKNOWN,
    "SignatureDoesNotMatch": _UNKNOWN,
    "InvalidToken": _UNKNOWN,
    "401": _UNKNOWN,
    "ExpiredToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestTimeTooSkewed": Reason("this machine's clock is wrong", "set it right (timedatectl set-ntp true)"),
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "AccountProblem": _RIGHTS,
    "403": _RIGHTS,
    "NoSuchBucket": _ABSENT,
    "InvalidBucketName": _ABSENT,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "301": _REGION,
    "InvalidObjectState": _ARCHIVED,
    "ObjectLocked": _LOCKED,
    "NotImplemented": _LACKING,
    "MethodNotAllowed": _LACKING,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "RequestTimeout": _BUSY,
    "OperationAborted": _BUSY,
    "BadDigest": Reason(
        "the bytes changed on their way", "find out what stands between here and {service}", may_pass_later=True
    ),
}
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.ConfigNotFound,
    boto.MetadataRetrievalError,
    boto.SSOError,
)
_NO_ANSWER = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError)


@contextmanager
def explained(
    raised: type[TaxiPlatformError], what: str, *, where: str, bucket: str, endpoint: str | None
) -> Generator[None, None, None]:
    """Turn what boto3 raises in the block into an error a person can act on.

    Args:
        raised: The error to raise.
        what: What could not be done, as a sentence without its full stop.
        where: The bucket or object concerned.
        bucket: The bucket's name.
        endpoint: Where the service is, if it is not Amazon's.
    """
    service = endpoint or "Amazon S3"
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        words = (mask_text(_sentence(error)).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        may_pass_later = False
        if isinstance(error, _NO_CREDENTIALS):
            cause, fix = f"no usable credentials: {words}", _SET_CREDENTIALS
        elif isinstance(error, _NO_ANSWER):
            cause, fix, may_pass_later = f"no answer: {words}", _LATER.format(service=service), True
        elif isinstance(error, ClientError) and (meaning := _meaning(error)):
            cause, fix = f"{meaning.why}: {words}", meaning.fix.format(bucket=bucket, service=service)
            may_pass_later = meaning.may_pass_later
        else:
            cause, fix = words, f"see what {service} says above, then run it again"
        # Not `from error`: what it says is in the cause.
        raise raised(what, where=where, cause=cause, fix=fix, may_pass_later=may_pass_later) from None


def code_of(error: ClientError) -> str:
    """The code of an answer; of one without a body its status."""
    return _answer(error).get("Error", {}).get("Code", "")


def status_of(error: ClientError) -> int:
    """The HTTP status of an answer."""
    return _answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _answer(error: ClientError) -> dict[str, Any]:
    return cast(Any, error).response


def _meaning(error: ClientError) -> Reason | None:
    by_code = _REASONS.get(code_of(error)) or _REASONS.get(str(status_of(error)))
    return by_code or (_BUSY if status_of(error) >= 500 or status_of(error) == 429 else None)


def _sentence(error: Exception) -> str:
    """What an error says; of an answer S3's own words, which boto3 puts into a frame."""
    if isinstance(error, ClientError):
        return f"{code_of(error)} {_answer(error).get('Error', {}).get('Message', '')}"
    return str(error)
