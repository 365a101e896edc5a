"""How the platform is, told to people, to programs and to Prometheus."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from taxi_platform_tests.test_launch import KEPT, ROOT, launch

#: What the issue of its users asks for by name.
ASKED_FOR = {
    "taxi_month_rows",
    "taxi_month_rejected_share",
    "taxi_month_age_seconds",
    "taxi_runs",
    "taxi_queue_wait_seconds",
    "taxi_failed_checks",
    "taxi_last_tick_timestamp_seconds",
    "taxi_disk_free_bytes",
}


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A platform that has brought one month, and failed to bring another."""
    folder = tmp_path_factory.mktemp("overview")
    (folder / "empty").mkdir()
    environ = {"TAXI_DATA_DIR": str(folder / "data"), "TAXI_SOURCE": "sample", "TAXI_SAMPLE_ROWS": "500"}
    assert launch("run", "green", "2020-01", environment=environ).returncode == 0
    assert launch("run", "green", "2020-02", f"--source={folder}/empty", environment=environ).returncode == 1
    return environ


@contextmanager
def serving(environ: dict[str, str]) -> Generator[str, None, None]:
    """The address at which the figures are served."""
    command = [sys.executable, "-m", "taxi_platform.cli", "metrics", f"--port={_free_port()}"]
    with subprocess.Popen(command, cwd=ROOT, env=KEPT | environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def _free_port() -> int:
    import socket

    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def figures_in(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_can_scrape_the_figures_at_a_port_of_their_own(environ: dict[str, str]) -> None:
    with serving(environ) as address, urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode()
    families = {it.name: it for it in text_string_to_metric_families(text)}
    found = figures_in(text)
    month = (("dataset", "green"), ("month", "2020-01"))

    assert families.keys() >= ASKED_FOR
    assert all(it.type == "gauge" and it.documentation for it in families.values())
    assert 450 < found["taxi_month_rows", month] <= 500
    assert found["taxi_month_rejected_share", month] == pytest.approx(1 - found["taxi_month_rows", month] / 500)
    assert found["taxi_month_age_seconds", month] > 5 * 365 * 86_400
    assert found["taxi_months", (("dataset", "green"), ("layer", "lake"))] == 1
    assert found["taxi_months_failed", (("dataset", "green"),)] == 1
    assert found["taxi_month_late", (("dataset", "green"),)] == 1
    assert found["taxi_runs", (("state", "success"),)] == 1
    assert found["taxi_runs", (("state", "failure"),)] == 1
    assert found["taxi_disk_free_bytes", (("keeps", "data"),)] > 0
    assert found["taxi_lake_up", ()] == 1


def test_figures_that_are_printed_are_those_that_are_served(environ: dict[str, str]) -> None:
    printed = launch("metrics", environment=environ)
    assert printed.returncode == 0, printed.stderr
    assert {name for name, _ in figures_in(printed.stdout)} >= ASKED_FOR - {"taxi_last_tick_timestamp_seconds"}


def test_a_port_that_is_taken_is_told_in_three_lines(environ: dict[str, str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        done = launch("metrics", f"--port={other.getsockname()[1]}", environment=environ)
    assert done.returncode == 2
    assert "cannot have port" in done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_the_dashboard_asks_for_figures_there_are(environ: dict[str, str]) -> None:
    board = json.loads((ROOT / "deploy" / "grafana" / "taxi_platform.json").read_text(encoding="utf-8"))
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    families = text_string_to_metric_families(launch("metrics", environment=environ).stdout)
    assert set(re.findall(r"taxi_\w+", asked)) == {family.name for family in families}


def test_people_are_told_what_is_here_what_is_late_and_what_failed_and_why(environ: dict[str, str]) -> None:
    done = launch("status", environment=environ | {"COLUMNS": "140"})
    assert done.returncode == 0, done.stderr
    (green,) = [line for line in done.stdout.splitlines() if line.startswith("│green")]
    assert [it.strip() for it in green.split("│")][1:9] == ["green", "1", "1", "1", "1", "1", "2020-01", "late"]
    assert "green 2020-02 failed: green 2020-02: not published by this source" in done.stdout
    assert "daemons that are not running: " in done.stdout


def test_a_program_is_told_the_same(environ: dict[str, str]) -> None:
    told = json.loads(launch("status", "green", "--json", environment=environ).stdout)
    (green,) = told["datasets"]
    assert green["months"] == dict.fromkeys(("raw", "cleaned", "quarantine", "lake", "warehouse"), 1)
    assert list(green["failed"]) == ["2020-02"]
    assert green["newest"] == "2020-01"
    assert told["lake_answers"] is True


def test_a_platform_that_holds_nothing_yet_has_a_status_too(tmp_path: Path) -> None:
    told = json.loads(launch("status", "--json", environment={"TAXI_DATA_DIR": str(tmp_path)}).stdout)
    assert {it["newest"] for it in told["datasets"]} == {None}
    assert len(told["datasets"]) == 4
