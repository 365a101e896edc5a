"""What a month takes where nothing is on the machine that runs it: a source by HTTP, a lake in S3, PostgreSQL.

    python -m benchmarks.month_over_network ROWS …

Each number of rows is a generated month of yellow, in a process of its own with an empty data folder. The bytes are
those on the line to each server, both ways. What the servers take of this machine is in the seconds, but not in the
CPU and memory of the month.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from benchmarks.process import Run, measure
from real_servers.line import Line, line_to
from real_servers.postgres import PostgresServer, postgres_server
from real_servers.s3 import S3Server, s3_server

MONTH = "2021-01"
_ROOT = Path(__file__).parents[1]
_COLUMNS = ("rows", "s", "CPU s", "peak MB", "source", "lake", "warehouse", "Dagster's database")


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def _file_server(folder: Path) -> Generator[int, None, None]:
    """A folder by HTTP, at a port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _month(rows: int, s3: S3Server, postgres: PostgresServer, folder: Path) -> tuple[Run, dict[str, Line]]:
    """One month, and the lines to its servers."""
    source = folder / "source"
    source.mkdir()
    write = (
        "import sys; from pathlib import Path; from benchmarks.months import YELLOW, LATEST;"
        "from taxi_platform.core.source.sample import write_month;"
        "write_month(YELLOW, LATEST, int(sys.argv[1]), Path(sys.argv[2]))"
    )
    measure([sys.executable, "-c", write, str(rows), source / f"yellow_tripdata_{MONTH}.csv.gz"], cwd=_ROOT)
    with ExitStack() as stack:
        ports = {
            "source": stack.enter_context(_file_server(source)),
            "lake": int(urlsplit(s3.endpoint).port or 0),
            "warehouse": postgres.port,
            "Dagster's database": postgres.port,
        }
        lines = {name: stack.enter_context(line_to(port)) for name, port in ports.items()}

        def by(name: str, url: str) -> str:
            return url.replace(f":{ports[name]}", f":{lines[name].port}")

        home = folder / "dagster"
        home.mkdir()
        records = by("Dagster's database", postgres.new_database())
        (home / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{records}'}}}}\n")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TAXI_", "DAGSTER_", "AWS_"))}
        environ = kept | s3.environment() | {
            "DAGSTER_HOME": str(home),
            "TAXI_DATA_DIR": str(folder / "data"),
            "TAXI_SOURCE": f"http://127.0.0.1:{lines['source'].port}/",
            "TAXI_LAKE_URL": by("lake", s3.url(s3.new_bucket())),
            "TAXI_WAREHOUSE_URL": by("warehouse", postgres.new_database()),
        }  # fmt: skip
        dagster = Path(sys.executable).with_name("dagster")
        measure([dagster, "instance", "migrate"], environ, _ROOT)
        for line in lines.values():
            line.sent = line.received = 0
        tags = json.dumps({"dagster/partition": MONTH})
        command = [dagster, "job", "execute", "-m", "taxi_platform.definitions", "-j", "yellow_trips_job"]
        run = measure([*command, "--tags", tags], environ, _ROOT)
        return run, lines


def main(counts: list[int]) -> None:
    """Measure, and print a table as Markdown has it: megabytes in and out, as the month sees them."""
    sys.stdout.write(f"| {' | '.join(_COLUMNS)} |\n|{'---:|' * len(_COLUMNS)}\n")
    with s3_server() as s3, postgres_server(max_wal_size="4GB", shared_buffers="256MB") as postgres:
        for rows in counts:
            with tempfile.TemporaryDirectory(prefix="taxi-month-") as folder:
                run, lines = _month(rows, s3, postgres, Path(folder))
            told = [f"{rows:,}", f"{run.wall:.1f}", f"{run.cpu:.1f}", f"{run.peak / 1e6:,.0f}"]
            told += [f"{it.received / 1e6:,.1f} in, {it.sent / 1e6:,.1f} out" for it in lines.values()]
            sys.stdout.write(f"| {' | '.join(told)} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main([int(it.replace("_", "")) for it in sys.argv[1:]] or [20_000, 200_000, 1_369_765, 5_000_000, 14_000_000])
