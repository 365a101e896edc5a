"""The suite leaves no process and no folder behind, also when it is told to end in the middle of a test."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENDLESS = """
import time
from pathlib import Path

def test_that_does_not_end(postgres):
    there = Path(__file__).with_name("there")
    there.with_name("half").write_text(f"{postgres._process.pid} {postgres.data.parent}")
    there.with_name("half").rename(there)
    time.sleep(600)
"""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_tests_that_are_told_to_end_leave_no_server_and_no_folder(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_endless.py").write_text(ENDLESS)
    command = [sys.executable, "-m", "pytest", f"-n{workers}", "-p", "taxi_platform_tests.conftest", "-c", os.devnull]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    for inherited in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        environ.pop(inherited, None)
    with (tmp_path / "log").open("wb") as log:
        tests = subprocess.Popen([*command, str(tmp_path)], cwd=tmp_path, env=environ, stdout=log, stderr=log)
    try:
        pid, folder = _said(tmp_path / "there", tests)
        assert Path(f"/proc/{pid}").exists()
        assert folder.name.startswith("taxi-pg-")

        tests.terminate()
        tests.wait(120)

        for _ in range(600):  # a worker ends a moment after who began it
            if not (folder.exists() or Path(f"/proc/{pid}").exists()):
                break
            time.sleep(0.1)
        assert not folder.exists()
        assert not Path(f"/proc/{pid}").exists()
    finally:
        tests.kill()
        tests.wait()


def _said(there: Path, tests: "subprocess.Popen[bytes]") -> tuple[int, Path]:
    while not there.exists():
        assert tests.poll() is None, there.with_name("log").read_text()
        time.sleep(0.1)
    pid, folder = there.read_text().split(" ", 1)
    return int(pid), Path(folder)
