"""What the suites share: folders below `.bench`, generated months, a PostgreSQL, and how children are started."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout
from psycopg import sql

from benchmarks.plan import Plan
from benchmarks.process import Run, measure
from real_servers.postgres import PostgresServer, postgres_server

ROOT = Path(__file__).parents[1]
BENCH = ROOT / ".bench"
MONTH = "2021-01"
TABLE = "taxi.yellow_trips"

_PYTHON = Path(sys.executable)
_REQUIREMENTS = ROOT / "benchmarks" / "peers" / "requirements.txt"
#: Settings of whoever runs the benchmark must not change what is measured.
_FOREIGN = ("TAXI_", "DAGSTER_", "PYTEST_", "PYTHON", "MAKE", "MFLAGS", "SOURCE", "CONFIG", "GOOGLE_", "PG")


@dataclass(frozen=True)
class Loaded:
    """A PostgreSQL database that holds three months of yellow, and the newest one's rows in a file of the server's."""

    server: PostgresServer
    url: str
    binary: Path

    @property
    def conninfo(self) -> str:
        """The administrator's connection: only he may let the server read a file."""
        return f"host={self.server.data} port={self.server.port} user=postgres dbname={self.url.rpartition('/')[2]}"


@dataclass
class World:
    """Everything a suite needs, made when the first one asks for it and gone at the end; generated months stay.

    Attributes:
        plan: How large.
        stack: Ends what was started.
        folder: Where everything lies.
    """

    plan: Plan
    stack: ExitStack
    folder: Path = BENCH
    _sources: dict[tuple[int, str], Path] = field(default_factory=dict[tuple[int, str], Path])

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        try:
            self.stack.enter_context(FileLock(self.folder / ".lock", timeout=0))
        except Timeout:
            raise SystemExit(f"another benchmark is running in {self.folder}") from None
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.stack.callback(shutil.rmtree, self.work, ignore_errors=True)
        # A folder of its own: Dagster and the platform read the .env of where they are started.
        (self.work / "cwd").mkdir()
        shutil.copyfile(ROOT / "workspace.yaml", self.work / "cwd" / "workspace.yaml")

    @property
    def work(self) -> Path:
        """What is gone afterwards."""
        return self.folder / "work"

    @property
    def cwd(self) -> Path:
        """Where children are started."""
        return self.work / "cwd"

    def environ(self, **settings: str | Path) -> dict[str, str]:
        """The environment of a child."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        quiet = {"PYTHONWARNINGS": "ignore", "RUNTIME__DLTHUB_TELEMETRY": "false"}
        return kept | quiet | {"PYTHONPATH": str(ROOT)} | {name: str(value) for name, value in settings.items()}

    def ours(self, module: str, *arguments: str | Path, **settings: str | Path) -> Run:
        """Run a module in the project's environment."""
        return self.run(_PYTHON, "-m", module, *arguments, **settings)

    def theirs(self, module: str, *arguments: str | Path, **settings: str | Path) -> Run:
        """Run a module of `benchmarks.peers` in the peers' environment."""
        return self.run(self.peers, "-m", f"benchmarks.peers.{module}", *arguments, **settings)

    def run(self, *command: str | Path, **settings: str | Path) -> Run:
        """Run a command. What was written before is on the disk by then, at nobody's cost."""
        os.sync()
        return measure(command, self.environ(**settings), self.cwd)

    @cached_property
    def peers(self) -> Path:
        """The peers' Python, with what `requirements.txt` pins."""
        home = self.folder / "peers"
        ready, python = home / ".ready", home / "bin" / "python"
        wanted = _REQUIREMENTS.read_text()
        if not ready.exists() or ready.read_text() != wanted:
            uv = _PYTHON.with_name("uv")
            measure([uv, "venv", "--clear", "--python", _PYTHON, home])
            measure([uv, "pip", "install", "--compile-bytecode", "--python", python, "-r", _REQUIREMENTS])
            ready.write_text(wanted)
        return python

    def source(self, rows: int, first: str = MONTH) -> Path:
        """A folder with generated months up to 2021-01, packed as TLC packs them."""
        key = (rows, first)
        if key not in self._sources:
            told = self.ours("benchmarks.prepare", "source", self.folder / "inputs", str(rows), first, MONTH).told
            self._sources[key] = Path(told["folder"])
        return self._sources[key]

    def raw(self, rows: int) -> Path:
        """The file of 2021-01."""
        return self.source(rows) / f"yellow_tripdata_{MONTH}.csv.gz"

    def made(self, rows: int) -> Path:
        """What the platform makes of 2021-01; see `benchmarks.months.Made`."""
        folder = self.work / f"made-{rows}"
        if not folder.exists():
            folder.mkdir()
            self.ours("benchmarks.prepare", "made", self.source(rows), folder)
        return folder

    @cached_property
    def home(self) -> Path:
        """An instance of Dagster's that no run was in yet, to be copied."""
        self.ours("benchmarks.instances", "prepare", TAXI_DATA_DIR=self.work / "prepared")
        return self.work / "prepared" / "dagster"

    def new_home(self, folder: Path, home: Path | None = None) -> Path:
        """A copy of an instance in a data folder."""
        return shutil.copytree(home or self.home, folder / "dagster")

    @cached_property
    def postgres(self) -> PostgresServer:
        """A server as the tests have it: it does not wait for the disk, for anybody."""
        return self.stack.enter_context(postgres_server())

    @contextmanager
    def database(self) -> Generator[str, None, None]:
        """The URL of a database nobody has used, which is gone when the block ends."""
        url = self.postgres.new_database()
        try:
            yield url
        finally:
            name = sql.Identifier(url.rpartition("/")[2])
            self.postgres.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def loaded(self, rows: int) -> Loaded:
        """A database that holds three months."""
        if rows not in self._loaded:
            url = self.postgres.new_database()
            self.ours("benchmarks.prepare", "postgres", self.made(rows), BENCH_POSTGRES_URL=url)
            database, binary = url.rpartition("/")[2], self.postgres.data / f"month-{rows}.binary"
            month = sql.SQL("SELECT * FROM taxi.yellow_trips WHERE source_month = '2021-01-01'")
            copy = sql.SQL("COPY ({}) TO {} (FORMAT binary)").format(month, sql.Literal(str(binary)))
            self.postgres.execute(copy, database)
            self._loaded[rows] = Loaded(self.postgres, url, binary)
        return self._loaded[rows]

    @cached_property
    def _loaded(self) -> dict[int, Loaded]:
        return {}


def end_all_when_told_to_end() -> None:
    """Let the signals that end a process unwind it, as Ctrl-C does: what it has started is ended with it."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for it in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(it, end)
