"""How often, and how soon, a source is asked again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """How patiently a source that is failing is asked again.

    Attributes:
        attempts: Requests in all, before giving up.
        first_wait: Seconds before the second request; doubled each time, with jitter.
        longest_wait: Seconds, at most, between two requests, whatever the server asks for.
        timeout: Seconds without an answer, or without a byte, after which a request has failed.
    """

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 60.0
    timeout: float = 60.0
