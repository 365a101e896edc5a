"""Says how a long transfer is getting on; says nothing of a short one."""

from __future__ import annotations

import logging
import time

_EVERY_SECONDS = 5.0


class Progress:
    """Logs megabytes, share and speed every few seconds.

    Args:
        log: Where to.
        about: What is transferred, such as `green 2020-11`.
        total: Bytes expected, where known.
        done: Bytes there already, when a transfer is taken up again.
    """

    def __init__(self, log: logging.Logger, about: str, total: int | None, done: int = 0) -> None:
        self._log, self._about, self._total, self._done, self._at_start = log, about, total, done, done
        self._started = self._last = time.monotonic()

    def add(self, count: int) -> None:
        """Take note of `count` more bytes."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= _EVERY_SECONDS:
            self._last = now
            speed = (self._done - self._at_start) / (now - self._started) / 1e6
            of = f" of {self._total / 1e6:,.1f} MB ({self._done / self._total:.0%})" if self._total else " MB"
            self._log.info(f"{self._about}: {self._done / 1e6:,.1f}{of}, {speed:,.1f} MB/s")
