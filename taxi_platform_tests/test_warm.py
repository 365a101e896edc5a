"""The process that runs are forked from: what it has loaded, and what it must not have."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOOK = """
import glob, json, os, signal, sys, threading

import taxi_platform.warm

os.kill(os.getpid(), signal.SIGTERM)  # the runs are told; who has begun them goes on
child = os.fork()
if not child:
    os._exit(int(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL))
print(json.dumps({
    "threads": threading.active_count(),
    "open": [os.path.realpath(it) for it in glob.glob("/proc/self/fd/*")],
    "loaded": sorted(sys.modules),
    "child": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]),
}))
"""


def test_runs_are_forked_from_what_has_everything_loaded_and_nothing_a_fork_would_tear_apart(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_bytes((ROOT / "deploy" / "local" / "dagster.yaml").read_bytes())
    environ = {"PATH": os.defpath, "TAXI_DATA_DIR": str(tmp_path / "data"), "DAGSTER_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", LOOK], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert {"taxi_platform.definitions", "taxi_platform.core.warehouse.duckdb", "sqlite3"} <= {*told["loaded"]}
    assert told["threads"] == 1
    assert [it for it in told["open"] if str(tmp_path) in it or "socket:" in it] == []
    assert told["child"] == 0
    assert not (tmp_path / "data").exists()
    assert done.stderr == ""
