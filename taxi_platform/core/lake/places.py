"""Which URLs name a bucket, of which service, and what in them names what."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

#: What `TAXI_LAKE_URL` takes beside a folder.
ACCEPTED = "gs://bucket[/prefix], s3://bucket[/prefix][?endpoint=…&region=…], or az://container[/prefix]"
_PREFIX = r"(/[^?#\s]*)?"
_BUCKETS = (
    # https://cloud.google.com/storage/docs/buckets#naming
    re.compile(rf"gs://[a-z0-9][a-z0-9._-]{{1,220}}[a-z0-9]{_PREFIX}"),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    re.compile(rf"s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]{_PREFIX}(\?[^#\s]+)?"),
    # https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
    re.compile(rf"az://[a-z0-9](-?[a-z0-9]){{2,62}}{_PREFIX}"),
)
#: Without an account: that is what a service's own variables are for.
_OPTIONS = {
    "endpoint": re.compile(r"https?://([\w.-]+|\[[\da-fA-F:]+\])(:\d{1,5})?/?"),
    "region": re.compile(r"[\w-]{1,63}"),
}


@dataclass(frozen=True)
class BucketPlace:
    """Where in which bucket a lake is.

    Attributes:
        scheme: `gs`, `s3` or `az`.
        bucket: Its name; Azure calls it a container.
        prefix: Where in the bucket; empty for all of it.
        endpoint: Of an S3 that is not Amazon's.
        region: Of an S3, if its variables do not say.
    """

    scheme: str
    bucket: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class AzureAccount:
    """A storage account, as Azure's own variables name it; its library leaves them to programs to read.

    Attributes:
        name: Its name.
        key: Its key; empty for Azure's default credentials (a login, a workload's or a machine's identity).
        connection_string: All of it in one, in place of the two.
    """

    name: str = ""
    key: str = field(default="", repr=False)
    connection_string: str = field(default="", repr=False)


def bucket_place(url: str) -> BucketPlace | None:
    """What a URL of a bucket says, well-formed or not; None for one of anything else."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("gs", "s3", "az"):
        return None
    # Elsewhere a `?` is a letter of a prefix: what a setting may say is narrower, see `is_bucket`.
    rest, _, options = rest.partition("?") if scheme == "s3" else (rest, "", "")
    bucket, _, prefix = rest.partition("/")
    said = dict(parse_qsl(options))
    return BucketPlace(scheme, bucket, prefix.strip("/"), said.get("endpoint"), said.get("region"))


def is_bucket(url: str) -> bool:
    """Whether a URL names a bucket as a service would take it, and says nothing nobody asks for."""
    if not any(it.fullmatch(url) for it in _BUCKETS):
        return False
    options = url.partition("?")[2]
    said = parse_qsl(options, keep_blank_values=True)
    names = [name for name, _ in said]
    return len(set(names)) == len(names) and all(
        name in _OPTIONS and _OPTIONS[name].fullmatch(value) for name, value in said
    )
