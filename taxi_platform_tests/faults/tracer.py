"""Stops a process at a moment of a function's life, without a change to the function: by Python's own tracing."""

from __future__ import annotations

import json
import linecache
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

CALL, RETURN = "call", "return"


@dataclass(frozen=True)
class Spot:
    """A moment in the life of a function.

    Attributes:
        module: Where the function is.
        function: Its qualified name.
        at: `CALL`, `RETURN`, or some words of the line that is about to be executed.
        nth: Which time the moment comes, in this process.
        called_by: The qualified name of the function that must have called it, if it matters who did.
    """

    module: str
    function: str
    at: str
    nth: int = 1
    called_by: str = ""


@dataclass(frozen=True)
class Point:
    """Where a run is killed.

    Attributes:
        name: What people call it.
        begin: When it is reached; None where that is the beginning of the run.
        end: For a point that lasts, when it is over; the process is killed from outside, somewhere in between.
        lasts: Whether it does.
    """

    name: str
    begin: Spot | None = None
    end: Spot | None = None

    @property
    def lasts(self) -> bool:
        """Whether it takes a while, or is a moment."""
        return self.begin is None or self.end is not None


#: Standard output, whatever Dagster makes of it while a step is executed.
_OUT = os.dup(1)
#: Any moment of the run.
ANY_MOMENT = Point("any moment")


def say(*words: object) -> None:
    """Tell the process outside, at once and whole: this one may be dead a moment later."""
    os.write(_OUT, (" ".join(map(str, words)) + "\n").encode())


def begun(point: Point) -> None:
    """A point that lasts has begun."""
    say("begin", time.monotonic(), point.name)


def ended(point: Point, *, to_be_killed: bool) -> None:
    """A point that lasts is over; whoever is to be killed in it waits for that."""
    say("end", time.monotonic(), point.name)
    if to_be_killed:
        signal.pause()


def killed(point: Point) -> None:
    """The moment has come."""
    say("begin", time.monotonic(), point.name)
    os.kill(os.getpid(), signal.SIGKILL)


def held(point: Point) -> None:
    """The moment has come, and lasts until somebody outside says so."""
    say("begin", time.monotonic(), point.name)
    sys.stdin.readline()


class Tracer:
    """Watches for the spots of some points, from `start` on, in every thread.

    Args:
        points: What to watch for.
        kill: Whether this process is to die there. If not, it only says when they begin and end.
        hold: Whether it is to wait there, until it gets a line on its standard input.
    """

    def __init__(self, points: Sequence[Point], *, kill: bool, hold: bool = False) -> None:
        self._kill, self._hold = kill, hold
        self._watched: dict[str, list[tuple[Spot, Point]]] = {}
        self._seen: Counter[tuple[Point, Spot]] = Counter()
        for point in points:
            for spot in filter(None, (point.begin, point.end)):
                self._watched.setdefault(spot.function, []).append((spot, point))

    def start(self) -> None:
        """Watch from now on."""
        threading.settrace(self._on_call)
        sys.settrace(self._on_call)

    def _on_call(self, frame: FrameType, event: str, arg: Any) -> Any:
        watched = self._watched.get(frame.f_code.co_qualname)  # of a million calls nearly all end here
        if watched is None:
            return None
        caller = frame.f_back.f_code.co_qualname if frame.f_back else ""
        here = [
            (spot, point)
            for spot, point in watched
            if spot.module == frame.f_globals.get("__name__") and spot.called_by in ("", caller)
        ]

        def on_event(frame: FrameType, event: str, arg: Any) -> Any:
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno) if event == "line" else ""
            for spot, point in here:
                if event == spot.at or (spot.at not in (CALL, RETURN) and spot.at in line):
                    self._reach(spot, point)
            return on_event

        return on_event(frame, event, arg) if here else None

    def _reach(self, spot: Spot, point: Point) -> None:
        self._seen[point, spot] += 1
        if self._seen[point, spot] != spot.nth:
            return
        if spot is point.end:
            ended(point, to_be_killed=self._kill)
        elif point.lasts:
            begun(point)
        elif self._kill:
            killed(point)
        elif self._hold:
            held(point)


def points_of(text: str) -> list[Point]:
    """Read what `as_text` wrote."""

    def spot(fields: dict[str, Any] | None) -> Spot | None:
        return Spot(**fields) if fields else None

    return [Point(it["name"], spot(it["begin"]), spot(it["end"])) for it in json.loads(text)]


def as_text(points: Sequence[Point]) -> str:
    """Points as a process is told them."""
    return json.dumps([asdict(point) for point in points])
