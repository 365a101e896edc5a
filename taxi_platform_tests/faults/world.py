"""A place where one month is corrected again and again by runs that are killed, and what must hold in it.

What is there is read by `stores.py` and compared with what the same months looked like when nobody disturbed the runs
that made them, and those with what was published.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import dagster as dg

from taxi_platform.core.lake import open_lake
from taxi_platform.core.lake.layers import MonthLayers
from taxi_platform.core.month import Month as CalendarMonth
from taxi_platform_tests.core.source.server import Answer, Request, Server, StoredFile, running_server
from taxi_platform_tests.faults.months import MONTH, NEIGHBOUR, OTHER_MONTH, VERSIONS, Version
from taxi_platform_tests.faults.points import DOWNLOADING
from taxi_platform_tests.faults.seen import COLUMNS, TABLE, Month, lake_key, month_in, unlike
from taxi_platform_tests.faults.stores import COMBINATIONS, Lake, Servers, Warehouse
from taxi_platform_tests.faults.tracer import Point, as_text

ROOT = Path(__file__).parents[2]
LAYERS = ("raw", "cleaned", "quarantine", "lake", TABLE)
LAKE_KEYS = {month: lake_key(month) for month in (MONTH, NEIGHBOUR)}
#: A real instance. What steps print is not collected: two more processes for each run would do that.
_DAGSTER = """
telemetry:
  enabled: false
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""
#: Seconds after which a run hangs.
_TOO_LONG = 120
_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Kill:
    """A run that is to be killed.

    Attributes:
        point: Where.
        share: If the point lasts: after which share of the time it takes.
    """

    point: Point
    share: float = 0.5

    def __str__(self) -> str:
        return f"{self.point.name} ({self.share:.0%} of it)" if self.point.lasts else self.point.name


@dataclass
class World:
    """One combination of stores with two months in them.

    Attributes:
        folder: Everything of it that is a file.
        lake: The lake, from outside.
        warehouse: The warehouse, from outside.
        web: Where months are published.
        dagster: What Dagster knows.
        holds: The version that is in the stores, by its name.
        seconds: How long each point that lasts takes.
    """

    folder: Path
    lake: Lake
    warehouse: Warehouse
    web: Server
    dagster: dg.DagsterInstance
    holds: str = ""
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    _undisturbed: dict[str, Month] = field(default_factory=dict[str, "Month"])
    _other_month: Month = field(default_factory=lambda: Month({}, ()))
    _paths: frozenset[str] = frozenset()
    _names: frozenset[str] = frozenset()
    _allowed: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _is_pinned: bool = False

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def coming(self) -> str:
        """The version that is not in the stores."""
        return next(name for name in VERSIONS if name != self.holds)

    def prepare(self, points: Sequence[Point]) -> None:
        """Bring every version to the stores undisturbed, and learn what it looks like there."""

        def learn(month: str) -> None:
            if month == NEIGHBOUR:
                return
            version, seen = VERSIONS[self.coming], self._look()
            problems = [*unlike(version, seen[MONTH]), *unlike(OTHER_MONTH, seen[NEIGHBOUR])]
            if problems:
                raise RuntimeError(f"a run that nobody killed: {'; '.join(problems)}")
            self._undisturbed[version.name] = seen[MONTH]
            self.holds, self._other_month = version.name, seen[NEIGHBOUR]
            self.correct()

        self._publish(OTHER_MONTH)
        self.correct()
        self.seconds = _durations(self._watch(points, [NEIGHBOUR, *(MONTH for _ in VERSIONS)], learn))
        self._paths, self._names = frozenset(self._paths_now()), frozenset(self.warehouse.names())

    def correct(self) -> None:
        """Publish the version that is not in the stores: from now on they may hold the one or the other."""
        self._publish(VERSIONS[self.coming])
        self._allowed = {layer: {self.holds, self.coming} for layer in LAYERS}

    def take_back(self) -> None:
        """Pin the version that is not in the stores, as `taxi rollback` does; what is published stays the other one."""
        self._choose(pinned=True)
        self._allowed = {layer: {self.holds, self.coming} for layer in LAYERS}

    def _choose(self, *, pinned: bool) -> None:
        edition = sha256(VERSIONS[self.coming if pinned else self.holds].body).hexdigest()
        layers = MonthLayers(open_lake(self.lake.url, self.data / ".lake"), "green", CalendarMonth.parse(MONTH))
        layers.choose(edition, pinned=pinned)
        self._is_pinned = pinned

    def kill(self, kill: Kill) -> list[str]:
        """Run the month and kill the run; what went wrong with that."""
        version, came = VERSIONS[self.holds if self._is_pinned else self.coming], False
        self._publish(version, stalls=kill.point == DOWNLOADING)
        with self._started("kill", [kill.point], [MONTH]) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            child.stdin.close()  # a run that comes to its end is not kept waiting for an answer
            for line in child.stdout:
                if line.startswith("begin ") and line.endswith(f" {kill.point.name}\n"):
                    came = True
                    if kill.point.lasts:
                        time.sleep(kill.share * self.seconds[kill.point.name])
                        child.kill()
        self._publish(version)
        if came and child.returncode == -signal.SIGKILL:
            return []
        return [f"the run was not killed {kill.point.name!r}: it ended with {child.returncode}; {self._log_tail()}"]

    def check(self) -> list[str]:
        """What is wrong in the stores.

        Every layer holds the old version or the new one, whole, and once the new one always the new one; other months
        are as they were.
        """
        return list(self._wrong(self._look()))

    def finish(self) -> list[str]:
        """Run the month to its end; what is wrong then, and what is left over of the runs that were killed."""
        version = VERSIONS[self.coming]
        try:
            (run,) = re.findall(rf"^ran {MONTH} (\S+)$", self._watch([], [MONTH]), re.MULTILINE)
        except RuntimeError as error:
            return [str(error)]
        self._allowed = {layer: {version.name} for layer in LAYERS}
        seen = self._look()
        problems = [*self._wrong(seen), *unlike(version, seen[MONTH]), *self.left_over(), *self._unrecorded(run)]
        self.holds = version.name
        if self._is_pinned:
            self._choose(pinned=False)
        return problems

    def left_over(self) -> Iterator[str]:
        """What is there and would not be if no run had been killed, and the other way round."""
        pairs = (("files", self._paths, self._paths_now()), ("warehouse", self._names, self.warehouse.names()))
        for what, before, now in pairs:
            if now - before:
                yield f"{what}: left over: {sorted(now - before)}"
            if before - now:
                yield f"{what}: missing: {sorted(before - now)}"
        for path in self._cached():
            if time.time() - path.stat().st_mtime > _DAY:
                yield f"{path} has been in the lake's cache for more than a day"

    def age(self) -> None:
        """Two days pass."""
        self.lake.age()
        for path in self._cached():
            os.utime(path, (time.time() - 2 * _DAY, time.time() - 2 * _DAY))

    def _publish(self, version: Version, *, stalls: bool = False) -> None:
        stored = StoredFile(version.body, etag=f'"{version.name}"')

        def behaviour(request: Request) -> Answer:
            answer = stored(request)
            return replace(answer, stall_at=len(answer.body) // 2) if stalls else answer

        self.web.serve(f"/green_tripdata_{version.month}.csv.gz", behaviour)

    @contextmanager
    def _started(
        self, what: str, points: Sequence[Point], months: Sequence[str]
    ) -> Generator[subprocess.Popen[str], None, None]:
        """A child at work; it is waited for at the end of the block."""
        others = ("TAXI_", "DAGSTER_", "PYTEST_", "MAKE")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(others)} | {
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "PYTHONPATH": str(ROOT),
            "TAXI_DATA_DIR": str(self.data),
            "TAXI_SOURCE": self.web.url,
            "TAXI_LAKE_URL": self.lake.url,
            "TAXI_WAREHOUSE_URL": self.warehouse.url,
        }
        command = [sys.executable, "-m", "taxi_platform_tests.faults.child", what, as_text(points), *months]
        with (
            (self.folder / "log").open("w") as log,
            subprocess.Popen(
                command,
                cwd=self.folder,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as child,
        ):
            # Not killed by the signal that counts: a run that hangs must not look like one that came to its point.
            watchdog = threading.Timer(_TOO_LONG, child.send_signal, [signal.SIGABRT])
            watchdog.start()
            try:
                yield child
                child.wait()
            finally:
                watchdog.cancel()

    def _watch(
        self, points: Sequence[Point], months: Sequence[str], after: Callable[[str], None] = lambda month: None
    ) -> str:
        """Run months to the end; what the child said, which is at rest while what is to be done after a month is."""
        said = ""
        with self._started("watch", points, months) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            for line in child.stdout:
                said += line
                if line.startswith("ran "):
                    after(line.split()[1])
                    child.stdin.write("go on\n")
                    child.stdin.flush()
        if child.returncode:
            raise RuntimeError(f"a run that nobody killed ended with {child.returncode}; {self._log_tail()}")
        return said

    def _log_tail(self) -> str:
        lines = (self.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "its log ends with:\n" + "\n".join(lines[-25:])

    def _look(self) -> dict[str, Month]:
        """What is in the stores of each month, now."""
        objects, rows = self.lake.objects(), self.warehouse.rows(COLUMNS)
        seen: dict[str, Month] = {}
        for month in {MONTH, NEIGHBOUR} | rows.keys():
            seen[month] = month_in(self.data, objects, rows, month)
        return seen

    def _wrong(self, seen: Mapping[str, Month]) -> Iterator[str]:
        now, neighbour = seen[MONTH], seen[NEIGHBOUR]
        for layer in LAYERS:
            allowed = sorted(self._allowed[layer])
            found = {name for name in allowed if self._undisturbed[name].is_like(now, layer)}
            if not found:
                expected = " or ".join(f"{self._undisturbed[name].shown(layer)} ({name})" for name in allowed)
                yield f"{layer} of {MONTH}: expected {expected}, found {now.shown(layer)}"
            elif self.coming in found:
                self._allowed[layer] = {self.coming}
            if not self._other_month.is_like(neighbour, layer):
                yield (
                    f"{layer} of {NEIGHBOUR}, which nobody touched: expected {self._other_month.shown(layer)}, "
                    f"found {neighbour.shown(layer)}"
                )
        if seen.keys() != {MONTH, NEIGHBOUR}:
            yield f"table: expected two months, found {sorted(seen)}"
        objects = self.lake.objects()
        tables = {it for it in objects if not it.startswith("_")}
        if tables != set(LAKE_KEYS.values()):
            yield f"lake: expected {sorted(LAKE_KEYS.values())}, found {sorted(tables)}"
        for name, content in objects.items():
            layer, *_, edition, file = name.split("/")
            if layer == "_raw" and not file.endswith(".json") and sha256(content).hexdigest() != edition:
                yield f"lake: {name} is not the file that it is named after"

    def _unrecorded(self, run: str) -> Iterator[str]:
        """What Dagster does not know of the run that came to its end."""
        for layer in ("raw", "cleaned", "quarantine", "lake", "warehouse"):
            event = self.dagster.get_latest_materialization_event(dg.AssetKey([layer, "green_trips"]))
            if event is None or event.run_id != run:
                yield f"Dagster's last record of {layer} is of the run {event and event.run_id}, not of {run}"

    def _cached(self) -> Iterable[Path]:
        """The month's objects that were brought here to be read, now or earlier."""
        return (self.data / ".lake").glob(f"*/{LAKE_KEYS[MONTH]}/*")

    def _paths_now(self) -> set[str]:
        """Every file and folder; an object in the cache is named after its version."""
        paths = (str(path.relative_to(self.data)) for path in self.data.rglob("*"))
        return {re.sub(r"^(\.lake/.*/)[\da-f]+(-\d+)?(\.parquet)$", r"\1*\3", path) for path in paths}


@contextmanager
def prepared_world(combination: str, servers: Servers, folder: Path) -> Generator[World, None, None]:
    """A combination with its months in the stores."""
    with running_server() as web:
        kind = COMBINATIONS[combination]
        lake, warehouse = kind.stores(servers, folder / "data")
        (folder / "dagster").mkdir(parents=True)
        (folder / "dagster" / "dagster.yaml").write_text(_DAGSTER, encoding="utf-8")
        with dg.DagsterInstance.from_config(str(folder / "dagster")) as dagster:
            world = World(folder, lake, warehouse, web, dagster)
            world.prepare([point for point in kind.points if point.lasts])
            yield world


def _durations(said: str) -> dict[str, float]:
    """How long each point lasted, by what a child said of it."""
    times: dict[str, dict[str, float]] = {}
    for what, at, name in re.findall(r"^(begin|end) (\S+) (.+)$", said, re.MULTILINE):
        times.setdefault(name, {})[what] = float(at)
    return {name: it["end"] - it["begin"] for name, it in times.items() if len(it) == 2}
