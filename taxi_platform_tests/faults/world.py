"""A place where one month is corrected again and again by runs that are killed, and what must hold in it.

What is there is read by `stores.py` and compared with what the same months looked like when nobody disturbed the runs
that made them, and those with what was published.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from taxi_platform.core.catalog import load_catalog
from taxi_platform_tests.core.source.server import Answer, Request, Server, StoredFile, running_server
from taxi_platform_tests.faults.months import MONTH, NEIGHBOUR, NUMBER, OTHER_MONTH, SEAL, VERSIONS, Version
from taxi_platform_tests.faults.points import DOWNLOADING
from taxi_platform_tests.faults.stores import COMBINATIONS, Lake, Row, Servers, Warehouse
from taxi_platform_tests.faults.tracer import Point, as_text

ROOT = Path(__file__).parents[2]
TABLE = "table"
LAYERS = ("raw", "cleaned", "quarantine", "lake", TABLE)
LAKE_KEYS = {month: f"green_trips/source_month={month}/green_tripdata_{month}.parquet" for month in (MONTH, NEIGHBOUR)}
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


#: Of the table and the files, numbers and seals first: by them people, and the order of rows, tell what is there.
COLUMNS = (
    *(NUMBER, SEAL),
    *(it.name for it in load_catalog().trips["green"].stored_columns if it.name not in (NUMBER, SEAL)),
)


@dataclass(frozen=True)
class Month:
    """A month in the stores.

    Attributes:
        files: The bytes of each layer that is a file or an object; none where there is no such file.
        rows: Its rows in the table, in the order of their numbers.
    """

    files: Mapping[str, bytes]
    rows: Sequence[Row]

    def is_like(self, other: Month, layer: str) -> bool:
        """Whether a layer is the same in both."""
        return self.rows == other.rows if layer == TABLE else self.files[layer] == other.files[layer]

    def shown(self, layer: str) -> str:
        """What a layer holds, for people."""
        if layer != TABLE:
            return f"{len(self.files[layer])} bytes {hashlib.sha256(self.files[layer]).hexdigest()[:12]}"
        versions = Counter(str(seal).partition(":")[0] for _, seal, *_ in self.rows)
        return f"{dict(versions)} rows with {len({number for number, *_ in self.rows})} numbers"


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
            problems = [*_unlike(version, seen), *_unlike(OTHER_MONTH, seen)]
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

    def kill(self, kill: Kill) -> list[str]:
        """Run the month and kill the run; what went wrong with that."""
        version, came = VERSIONS[self.coming], False
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
        problems = [*self._wrong(seen), *_unlike(version, seen), *self.left_over(), *self._unrecorded(run)]
        self.holds = version.name
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
            paths = {
                "raw": self.data / "raw" / "green" / month / f"green_tripdata_{month}.csv.gz",
                "cleaned": self.data / "cleaned" / "green" / f"{month}.parquet",
                "quarantine": self.data / "quarantine" / "green" / f"{month}.parquet",
            }
            files = {layer: path.read_bytes() if path.exists() else b"" for layer, path in paths.items()}
            files["lake"] = objects.get(LAKE_KEYS.get(month, ""), b"")
            seen[month] = Month(files, _in_order(rows.get(month, [])))
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
        objects = set(self.lake.objects())
        if objects != set(LAKE_KEYS.values()):
            yield f"lake: expected {sorted(LAKE_KEYS.values())}, found {sorted(objects)}"

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
        """Every file and folder; an object in the cache is named after its generation."""
        paths = (str(path.relative_to(self.data)) for path in self.data.rglob("*"))
        return {re.sub(r"^(\.lake/.*/)\d+(\.parquet)$", r"\1*\2", path) for path in paths}


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


def _unlike(version: Version, seen: Mapping[str, Month]) -> Iterator[str]:
    """In what the stores are not what was published: rows in = cleaned + quarantined rows, and table = lake."""
    month = seen[version.month]
    if month.files["raw"] != version.body:
        yield "the raw file is not what was published"
    for layer, expected in (("cleaned", version.kept), ("quarantine", version.turned_away)):
        rows = _rows_in(month.files[layer], (NUMBER, SEAL))
        if len(rows) != len(expected) or dict(rows) != expected:
            yield f"{layer}: not the {len(expected)} rows that were published, but {len(rows)}"
    in_lake = Month({}, _in_order(_rows_in(month.files["lake"], COLUMNS)))
    if not in_lake.is_like(month, TABLE):
        yield f"{in_lake.shown(TABLE)} in the lake, {month.shown(TABLE)} in the table"


def _rows_in(parquet: bytes, columns: Sequence[str]) -> list[Row]:
    table = pq.read_table(io.BytesIO(parquet), columns=list(columns))
    return list(zip(*(table.column(name).to_pylist() for name in columns), strict=True))


def _in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row[0], row[1]))


def _durations(said: str) -> dict[str, float]:
    """How long each point lasted, by what a child said of it."""
    times: dict[str, dict[str, float]] = {}
    for what, at, name in re.findall(r"^(begin|end) (\S+) (.+)$", said, re.MULTILINE):
        times.setdefault(name, {})[what] = float(at)
    return {name: it["end"] - it["begin"] for name, it in times.items() if len(it) == 2}
