"""Every command of the README and of the pages of commands and marts is run, in order, as a reader would: in bash.

Three things differ from a reader's machine. The data folder is a temporary one, and `web` becomes a real HTTP server on
this machine that serves generated months, because tests have no network. A PostgreSQL and what stands in for Google's
services take the places of the reader's own. `make dev` is started in the background, as
a reader would leave it running in another terminal, and ended with the test.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb
import pytest
from psycopg.sql import SQL

from real_servers.postgres import PostgresServer
from taxi_platform.checks import build_checks
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month
from taxi_platform.core.zone_shapes import FILE, plan_of_squares, write_shapes
from taxi_platform_tests.core.lake.gcs_server import running_storage
from taxi_platform_tests.core.warehouse.bigquery_server import BigQueryServer

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "page.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", f"{README}\n{COMMANDS}\n{PAGE}", re.MULTILINE | re.DOTALL)


def test_every_command_of_the_readme_and_of_the_page_of_commands_does_what_it_says(
    tmp_path: Path, postgres: PostgresServer, bigquery: BigQueryServer
) -> None:
    with ExitStack() as stack:
        google = stack.enter_context(running_storage())
        google.create_bucket("my-bucket")
        postgres.execute(SQL("CREATE ROLE analyst"))
        ours = {
            "postgresql://taxi:secret@localhost:5432/taxi": postgres.new_database(),
            "bigquery://my-project/taxi": bigquery.url(),
        }
        web = stack.enter_context(_served(_months(tmp_path / "web", ["2020-10", "2020-11", "2020-12"])))
        environ = _environ(tmp_path / "data", dev_port := _free_port())
        environ |= {"STORAGE_EMULATOR_HOST": google.endpoint, "PATH": f"{postgres.binaries}:{environ['PATH']}"}
        for block in BLOCKS:
            script = re.sub(r"(SOURCE=)web\b", rf"\g<1>{web}", block)
            for told, real in ours.items():
                script = script.replace(told, real)
            if script.strip() == "make dev":
                stack.enter_context(_running("make dev", environ, dev_port))
            elif script.strip() != "make check":  # .ci/run runs it; it would lint half-written files beside this test
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environ, **_CAPTURED)
                assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
                assert "Traceback" not in done.stderr, f"{block}\n{done.stderr}"
        # The backfill was only queued: the daemon behind `make dev` runs it, with the rules of the contract again.
        warehouse = tmp_path / "data" / "warehouse.duckdb"
        _wait_until(lambda: _rows_by_month(warehouse).get("2020-12", 0) > 900, seconds=120)
    assert set(_rows_by_month(warehouse)) == {"2020-10", "2020-11", "2020-12"}


def test_the_readme_lists_every_rule_and_its_action() -> None:
    lines = re.findall(r"^\| (`[^|]*`) \| (reject|warn|off) \|", README, re.MULTILINE)
    told = {(name, action) for names, action in lines for name in re.findall(r"`(\w+)`", names)}
    assert told == {(rule.name, rule.action) for it in load_catalog().trips.values() for rule in it.rules}


def test_the_readme_lists_every_check_and_where_it_is() -> None:
    told = set(re.findall(r"^\| `(\w+)` \| (raw|cleaned|lake|warehouse) \|", README, re.MULTILINE))
    checks = (
        spec
        for it in load_catalog().trips.values()
        for check in build_checks(it, load_catalog())
        for spec in check.check_specs
    )
    assert told == {(spec.name, spec.asset_key.path[0]) for spec in checks}


def test_the_page_of_commands_names_every_command_and_every_figure_there_is() -> None:
    listed = subprocess.run([sys.executable, "-m", "taxi_platform.cli", "--help"], cwd=ROOT, **_CAPTURED).stdout
    commands = set(re.findall(r"^  ([a-z]+)  ", listed, re.MULTILINE)) - {"dev"}
    assert set(re.findall(r"taxi ([a-z]+)", COMMANDS)) == commands
    board = (ROOT / "deploy" / "grafana" / "taxi_platform.json").read_text(encoding="utf-8")
    figures = set(re.findall(r"taxi_[a-z_]+", board)) - {"taxi_platform"}
    assert set(re.findall(r"`(taxi_[a-z_]+)`", COMMANDS)) == figures


def test_make_alone_lists_its_targets_and_the_readme_names_no_others() -> None:
    listed = set(re.findall(r"^  make (\S+)", subprocess.run(["make"], cwd=ROOT, **_CAPTURED).stdout, re.MULTILINE))
    assert {"run", "dev", "test", "check", "backfill"} <= listed
    assert set(re.findall(r"`make ([a-z-]+)", README)) <= listed


_CAPTURED = {"capture_output": True, "text": True, "timeout": 240}


def _environ(data_dir: Path, port: int) -> dict[str, str]:
    others = ("TAXI_", "DAGSTER_", "PYTEST_", "MAKE", "MFLAGS", "SOURCE", "CONFIG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return kept | {"TAXI_DATA_DIR": str(data_dir), "PORT": str(port), "TAXI_SAMPLE_ROWS": "1000"}


def _months(folder: Path, months: list[str]) -> Path:
    folder.mkdir()
    (folder / FILE).write_text(write_shapes(plan_of_squares([(1, "EWR"), (2, "Queens")])))
    for month in months:
        write_month(load_catalog().trips["green"], Month.parse(month), 1_000, folder / f"green_tripdata_{month}.csv.gz")
    return folder


@contextmanager
def _served(folder: Path) -> Generator[str, None, None]:
    port = _free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        _wait_until(lambda: _answers(port), seconds=20)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@contextmanager
def _running(command: str, environ: dict[str, str], port: int) -> Generator[None, None, None]:
    """A command that goes on until it is interrupted, as by Ctrl-C; its months come from the sample generator."""
    shell = ["bash", "-c", f"exec {command}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(shell, cwd=ROOT, env=environ | {"TAXI_SOURCE": "sample"}, **quiet) as process:
        try:
            _wait_until(lambda: _answers(port), seconds=90)
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _rows_by_month(warehouse: Path) -> dict[str, int]:
    try:
        with duckdb.connect(str(warehouse), read_only=True) as con:
            rows = con.execute("SELECT strftime(source_month, '%Y-%m'), count(*) FROM taxi.green_trips GROUP BY 1")
            return dict(rows.fetchall())
    except duckdb.IOException:  # a run is writing
        return {}


def _answers(port: int) -> bool:
    with socket.socket() as it:
        return it.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds:.0f} s in vain")
        time.sleep(0.5)
