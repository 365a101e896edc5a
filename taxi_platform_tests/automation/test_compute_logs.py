"""What runs print is in the lake: while they run, afterwards, and until they are forgotten."""

import sys
import time
from pathlib import Path

import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType

from taxi_platform.automation.compute_logs import LakeComputeLogManager

KEY = ["4f2a", "compute_logs", "clean"]


def test_what_a_run_prints_is_seen_from_another_machine_while_it_runs_and_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXI_LAKE_URL", str(tmp_path / "lake"))
    here, there = LakeComputeLogManager(str(tmp_path / "here"), 1), LakeComputeLogManager(str(tmp_path / "there"))
    with here.capture_logs(KEY):
        sys.stderr.write("begun\n")
        sys.stderr.flush()
        until = time.monotonic() + 60
        while there.get_log_data(KEY).stderr != b"begun\n":
            assert time.monotonic() < until
            time.sleep(0.1)
        assert not there.is_capture_complete(KEY)
        sys.stderr.write("done\n")
    assert there.is_capture_complete(KEY)
    assert there.get_log_data(KEY).stderr == b"begun\ndone\n"
    assert there.get_log_metadata(KEY).stderr_location == "_logs/4f2a/compute_logs/clean.err"
    assert there.get_log_keys_for_log_key_prefix(KEY[:-1], ComputeIOType.STDERR) == [KEY]

    with here.capture_logs(["4f2a", "compute_logs", "cleaner"]):
        pass
    there.delete_logs(log_key=KEY)
    names = {it.name.partition(".")[0] for it in (tmp_path / "lake" / "_logs").rglob("*.*")}
    assert names == {"cleaner"}
    there.delete_logs(prefix=["4f2a"])
    assert not [*(tmp_path / "lake" / "_logs").rglob("*.*")]
