"""How often, and how soon, a source is asked again, and when that ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from taxi_platform.core.source.errors import OverdueError

#: Seconds a fetch may take in all, from the first request to the last byte. It is ten minutes less than another run
#: waits for the same month, so that the other still sees how this one ended and has not given up a moment before. At
#: the size of the largest months (500 MB) it asks 1.4 Mbit/s of a line; a slower one goes on where it stopped.
DEADLINE_SECONDS = 3000.0
#: Seconds another run waits for a month that is being fetched: the deadline, and the verification after it.
LOCK_SECONDS = DEADLINE_SECONDS + 600.0


@dataclass(frozen=True)
class RetryPolicy:
    """How patiently a source that is failing is asked again.

    Attributes:
        attempts: Requests in all, before giving up.
        first_wait: Seconds before the second request; doubled each time, with jitter.
        longest_wait: Seconds, at most, between two requests, whatever the server asks for.
        timeout: Seconds without an answer, or without a byte, after which a request has failed.
        deadline: Seconds after which a fetch ends, over all attempts and however many bytes still come.
    """

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 60.0
    timeout: float = 60.0
    deadline: float = DEADLINE_SECONDS


class Deadline:
    """The moment a fetch must be done by.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.failed_before: Exception | None = None  #: the last attempt that failed, and was followed by another
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left; 0 when there are none."""
        return max(0.0, self._end - time.monotonic())

    def check(self, about: str, where: str, arrived: int | None = None) -> None:
        """Go on, if there is time left.

        Raises:
            OverdueError: There is none.
        """
        if not self.left:
            raise self.overdue(about, where, arrived)

    def overdue(self, about: str, where: str, arrived: int | None = None, cause: str | None = None) -> OverdueError:
        """The error for a fetch that was not done in time.

        Args:
            about: The dataset and month, or table.
            where: What was fetched, without secrets.
            arrived: Bytes that came, where any could.
            cause: What was the matter last.
        """
        came = "" if arrived is None else f" ({arrived:,} bytes came)"
        cause = cause or "the source, or the line to it, is too slow"
        if self.failed_before is not None:
            cause = f"{cause}; the attempt before failed too: {self.failed_before}"
        return OverdueError(
            f"the source did not give the file within {self.seconds:,.10g} s{came}",
            about=about,
            where=where,
            cause=cause,
            fix="run the month again: it goes on where it stopped, if the source can",
        )

    @contextmanager
    def ending(self, what: Callable[[], object]) -> Generator[None, None, None]:
        """Do `what` (in a thread of its own) if the block is still at work when the time is up."""
        timer = threading.Timer(min(self.left, threading.TIMEOUT_MAX), what)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
