"""What can go wrong between here and a published file, told apart by what to do about it."""

from __future__ import annotations

from taxi_platform.core.errors import TaxiPlatformError


class SourceError(TaxiPlatformError):
    """The source cannot give the file. Asking again will not help, unless a subclass says so."""


class NotPublishedError(SourceError):
    """The source does not have the month (yet). TLC publishes 48 to 106 days after a month's end."""


class UnavailableError(SourceError):
    """The source is throttling, failing or out of reach: the same request may succeed later.

    Attributes:
        retry_after: Seconds the server asked to wait, where it did.
    """

    may_pass_later = True
    retry_after: float | None = None


class OverdueError(UnavailableError):
    """The time for a fetch is up. What came stays and is taken up by the next one."""


class CorruptError(SourceError):
    """The file arrived and is not what it should be: cut, damaged, or a web page in its place."""
