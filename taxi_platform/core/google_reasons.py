"""What Google's `reason` of an error means to the person who has to mend it, and whether it may pass.

The status alone does not say: a 403 is a right that is missing, a quota that is used up, a billing account that is
closed or a bucket that is locked. Which one it is stands in `errors[].reason` of the answer, and for a job in its
`errorResult`. The reasons are those of the pages
- "Error messages" of BigQuery (https://cloud.google.com/bigquery/docs/error-messages#errortable),
- "HTTP status and error codes for JSON" of Cloud Storage (https://cloud.google.com/storage/docs/json_api/v1/status-codes),
- `ErrorReason` of Google's APIs (https://cloud.google.com/php/docs/reference/common-protos/latest/Api.ErrorReason).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class Reason:
    """What a reason is to people.

    Attributes:
        why: The likely cause.
        fix: What to do; `{place}` stands for the project or bucket concerned.
        may_pass_later: Whether the same may succeed later.
    """

    why: str
    fix: str
    may_pass_later: bool = False


_QUOTA = Reason(
    "a quota of Google's is used up",
    "wait until it is refilled (those of a day at midnight in California; BigQuery takes 30,000 changes of a table's "
    "partitions a day), or ask for more below IAM & Admin / Quotas in Google's console, then run it again",
    may_pass_later=True,
)
_RATE = Reason(
    "too much was asked of Google at once",
    "run fewer months at the same time (BigQuery takes 50 changes of a table's partitions in 10 s), then run it again",
    may_pass_later=True,
)
_BILLING = Reason(
    "nobody pays for the project",
    "link a billing account to the project: gcloud billing projects link PROJECT --billing-account=ACCOUNT, or open "
    "the account again if it was closed, then run it again",
)
_RETENTION = Reason(
    "the bucket keeps its objects: a retention policy or a hold forbids to replace or delete what is there",
    "a month that is published anew has to be replaced: set TAXI_LAKE_URL to a bucket without retention, or, where the "
    "policy is not locked, gcloud storage buckets update gs://{place} --clear-retention-period",
)
_REQUESTER = Reason(
    "the bucket is one whose requests are paid for by who makes them (requester pays), which the platform does not do",
    "set TAXI_LAKE_URL to another bucket, or, if it is yours: gcloud storage buckets update gs://{place} "
    "--no-requester-pays",
)
_DISABLED = Reason(
    "the API is not switched on in the project",
    "switch it on: gcloud services enable bigquery.googleapis.com storage.googleapis.com, then run it again",
)
_GOOGLE = Reason(
    "Google Cloud has a fault, or is overloaded",
    "see whether Google Cloud or the network is down, then run it again; nothing is half done",
    may_pass_later=True,
)
_PERIMETER = Reason(
    "a security perimeter of the organization (VPC Service Controls) is in the way",
    "have whoever keeps it let this account and machine in, then run it again",
)
#: A reason in lower case -> what it means.
_REASONS: dict[str, Reason] = {
    "quotaexceeded": _QUOTA,
    "dailylimitexceeded": _QUOTA,
    "limitexceeded": _QUOTA,
    "resource_exhausted": _QUOTA,
    "ratelimitexceeded": _RATE,
    "userratelimitexceeded": _RATE,
    "jobratelimitexceeded": _RATE,
    "rate_limit_exceeded": _RATE,
    "concurrentlimitexceeded": _RATE,
    "billingnotenabled": _BILLING,
    "billing_disabled": _BILLING,
    "accountdisabled": _BILLING,
    "userprojectaccountproblem": _BILLING,
    "retentionpolicynotmet": _RETENTION,
    "objectunderactivehold": _RETENTION,
    "userprojectmissing": _REQUESTER,
    "accessnotconfigured": _DISABLED,
    "service_disabled": _DISABLED,
    "backenderror": _GOOGLE,
    "internalerror": _GOOGLE,
    "jobbackenderror": _GOOGLE,
    "jobinternalerror": _GOOGLE,
    "tableunavailable": _GOOGLE,
    "badgateway": _GOOGLE,
    "gatewaytimeout": _GOOGLE,
    "resourceinuse": Reason("somebody else is changing the same thing", "run it again", may_pass_later=True),
    "resourcesexceeded": Reason(
        "the job needs more than BigQuery gives to one", "ask for fewer months at once, then run it again"
    ),
    "stopped": Reason("somebody ended the job", "run the month again"),
    "blocked": Reason("Google has blocked such work in this project", "ask Google's support for the reason"),
    "vpcservicecontrols": _PERIMETER,
    "security_policy_violated": _PERIMETER,
}
#: What has a reason that says nothing (`required`, `invalid`), and is known by its words.
_WORDS: dict[str, Reason] = {
    "requester pays": _REQUESTER,
    "different location": Reason(
        "the lake's bucket and the dataset lie in different places of the world",
        "put both into one location: a bucket where the dataset is, or a dataset where the bucket is",
    ),
}


def reason_of(reasons: Sequence[str], words: str) -> Reason | None:
    """What an error means; None if its reasons say no more than its status.

    Args:
        reasons: What Google gives as its reasons.
        words: What it says.
    """
    found = (_REASONS.get(reason.casefold()) for reason in reasons)
    by_words = (meaning for part, meaning in _WORDS.items() if part in words.casefold())
    return next(filter(None, found), None) or next(by_words, None)


def reasons_in(error: Exception) -> tuple[str, ...]:
    """Google's reasons in an error of its libraries, the first one first; BigQuery's and Cloud Storage's differ."""
    listed = cast(Sequence[Any], getattr(error, "errors", None) or ())
    try:
        answer = cast(Any, error).response.json()["error"]
        listed = [*listed, *answer.get("errors", ()), *answer.get("details", ())]
    except (AttributeError, LookupError, TypeError, ValueError):
        pass  # not every error has an answer, and not every answer is Google's
    return tuple(_reasons(listed))


def _reasons(listed: Sequence[Any]) -> Iterator[str]:
    for it in listed:
        if isinstance(it, Mapping) and isinstance(reason := cast(Mapping[str, Any], it).get("reason"), str):
            yield reason
