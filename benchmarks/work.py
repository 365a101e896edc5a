"""The part of a process that is the work itself: all of it that is not start-up and imports.

Also imported by the peers, whose environment has nothing of the platform: the standard library alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

_SIGN = "measured: "


@contextmanager
def work() -> Generator[None, None, None]:
    """Tell the benchmark how long the block took, and how much CPU this process used meanwhile."""
    began, used = time.perf_counter(), time.process_time()
    yield
    tell(seconds=time.perf_counter() - began, cpu=time.process_time() - used)


def tell(**figures: Any) -> None:
    """Tell the benchmark figures, as one line of JSON."""
    print(f"{_SIGN}{json.dumps(figures)}", flush=True)


def told(said: str) -> dict[str, Any]:
    """What a process told, among all that it wrote."""
    figures: dict[str, Any] = {}
    for line in said.splitlines():
        if line.startswith(_SIGN):
            figures |= json.loads(line.removeprefix(_SIGN))
    return figures
