"""`make dev` serves, or ends with a word; and when it ends, nothing that it started is left."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from taxi_platform_tests.automation.endpoint import running_endpoint
from taxi_platform_tests.test_launch import KEPT, ROOT

pytestmark = [pytest.mark.timeout(600), pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")]
PATIENCE = 120.0
SERVICES = ("code-server", "taxi_platform.ui", "taxi_platform.daemon")


@dataclass(frozen=True)
class Developing:
    """A `make dev` that was started.

    Attributes:
        process: What was started: a shell, make or the command itself.
        folder: Its data folder, by which its processes are known.
        port: Where its UI is.
    """

    process: "subprocess.Popen[bytes]"
    folder: Path
    port: int

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def processes(self, word: str = "") -> list[int]:
        """All that were started, by whomever of them, with a word in their command."""
        mark = f"TAXI_DATA_DIR={self.folder}".encode()
        found: list[int] = []
        for it in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (
                    mark in (it / "environ").read_bytes().split(b"\0")
                    and word.encode() in (it / "cmdline").read_bytes()
                ):
                    found.append(int(it.name))
        return found

    def ends(self) -> int:
        """Wait until it has ended; its exit status."""
        status = self.process.wait(PATIENCE)
        until(lambda: not self.processes())
        return status


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@contextmanager
def developing(folder: Path, port: int, command: Sequence[str]) -> Generator[Developing, None, None]:
    """Start it; whatever is left of it at the end is killed."""
    environ = KEPT | {"TAXI_DATA_DIR": str(folder), "TAXI_SOURCE": "sample", "PORT": str(port)}
    with (
        (folder / "said").open("wb") as said,
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=said, stderr=said, start_new_session=True) as process,
    ):
        it = Developing(process, folder, port)
        try:
            yield it
        finally:
            for left in it.processes():
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)


@contextmanager
def serving(folder: Path, command: Sequence[str]) -> Generator[Developing, None, None]:
    """Start it, and wait until all three are there."""
    with developing(folder, free_port(), command) as it:
        until(lambda: (answers(it.port) and all(it.processes(name) for name in SERVICES)) or not it.processes())
        assert it.processes("taxi_platform.daemon"), it.said
        yield it


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=10) as answer:
        return answer.status == 200
    return False


@pytest.mark.parametrize("port", ["abc", "0", "-1", "70000", "", "３０００", "3000.0", "1e3", "9" * 5_000])
def test_a_port_that_is_none_is_refused_and_nothing_is_made(tmp_path: Path, port: str) -> None:
    environ = KEPT | {"TAXI_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run(["make", "dev", f"PORT={port}"], cwd=ROOT, env=environ, capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stderr.startswith(f"PORT={port!r} is no port\nFix: "[:1_000])
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_is_taken_is_refused_and_nothing_is_left_running(tmp_path: Path, address: str) -> None:
    with socket.create_server((address, 0)) as other:
        port = other.getsockname()[1]
        with developing(tmp_path, port, ["make", "dev"]) as it:
            assert it.ends() == 2
    assert f"the UI cannot have port {port}" in it.said


def test_a_port_that_is_taken_while_it_starts_ends_it_with_a_word(tmp_path: Path) -> None:
    port = free_port()
    with developing(tmp_path, port, [sys.executable, "-m", "taxi_platform.cli", "dev", f"--port={port}"]) as it:
        until(lambda: it.processes("code-server"))  # it has found the port free
        with socket.create_server(("127.0.0.1", port)):
            assert it.ends() == 1
    assert "the UI has ended by itself" in it.said


@pytest.mark.parametrize("name", [SERVICES[0], *(pytest.param(it, marks=pytest.mark.campaign) for it in SERVICES[1:])])
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.campaign)])
def test_when_one_of_them_is_gone_the_others_end(tmp_path: Path, name: str, number: int) -> None:
    with serving(tmp_path, ["make", "dev"]) as it:
        os.kill(min(it.processes(name)), number)
        assert it.ends() == 2  # make's own, for whatever status
    assert "has ended by itself" in it.said


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.campaign), signal.SIGINT])
def test_started_by_a_script_in_the_background_it_still_ends_when_it_is_told(tmp_path: Path, number: int) -> None:
    """Such a shell has its commands ignore SIGINT, and make obeys: that signal has to go to all of them."""
    with serving(tmp_path, ["bash", "-c", "make dev & wait"]) as it:
        os.killpg(it.process.pid, number)
        it.ends()
    assert "Traceback" not in it.said


def test_the_end_of_make_is_the_end_of_what_it_started(tmp_path: Path) -> None:
    with serving(tmp_path, ["make", "dev"]) as it:
        it.process.terminate()
        it.ends()


STUBBORN = (
    # In one write: the three of them share a pipe.
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(1, b'there\\n'); time.sleep(600)"
)


def test_who_says_it_a_second_time_ends_all_of_them_at_once() -> None:
    script = (
        "import subprocess, sys, time; from taxi_platform import develop\n"
        "def start(name, *_):\n"
        f"    return subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], start_new_session=True)\n"
        "with develop._signals() as told:\n"
        "    services = [develop._Service(str(it), start(it)) for it in range(3)]\n"
        "    while not told: time.sleep(0.1)\n"
        "    print('leaving', flush=True)\n"
        "    develop._end(services, told)\n"
        "    print(*(it.process.returncode for it in services))\n"
    )
    command, pipe = [sys.executable, "-c", script], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == ["there\n"] * 3
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "leaving\n"
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=25)  # one of them alone would have half a minute
    assert said == "-9 -9 -9\n"


def test_when_the_daemon_is_gone_people_are_told_by_who_is_left(tmp_path: Path) -> None:
    with running_endpoint() as somebody:
        with serving(tmp_path, ["env", f"TAXI_ALERT_URLS={somebody.url()}", "make", "dev"]) as it:
            os.kill(min(it.processes("taxi_platform.daemon")), signal.SIGKILL)
            assert it.ends() == 2
        ((title, text),) = somebody.news()
    assert title == "taxi_platform is down"
    assert "the daemon has ended by itself" in text
