"""One at a time on this machine: a lock that is waited for with words, and not for ever."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from taxi_platform.core.errors import TaxiPlatformError

#: Seconds after which waiting is told.
_UNTOLD = 2.0


@contextmanager
def turn(
    lock: Path,
    *,
    about: str,
    doing: str,
    patience: float,
    log: logging.Logger,
    raised: type[TaxiPlatformError] = TaxiPlatformError,
) -> Generator[None, None, None]:
    """No other run on this machine holds the lock during the block.

    Args:
        lock: Its file.
        about: Dataset and month, or table.
        doing: What whoever holds it is doing.
        patience: Seconds it is waited for.
        log: Where waiting is told.
        raised: The error to raise.

    Raises:
        TaxiPlatformError: Another one has not come to its end in `patience` seconds.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        try:
            held.acquire(timeout=min(_UNTOLD, patience))
        except Timeout:
            log.warning(f"{about}: waiting for another run that is {doing}, for {patience:g} s at most")
            held.acquire(timeout=patience)
    except Timeout as error:
        raise raised(
            f"another run has been {doing} for over {patience:g} s",
            about=about,
            where=str(lock),
            fix="end that run, then run the month again",
            may_pass_later=True,
        ) from error
    try:
        yield
    finally:
        held.release()
