"""The generator streams. In a module of its own, so that others run while it makes millions of rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PEAK = """
import sys
from pathlib import Path
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month

write_month(load_catalog().trips["yellow"], Month(2021, 1), int(sys.argv[1]), Path(sys.argv[2]))
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    # Not by `getrusage`: there a child's peak begins at that of its parent, which would hide its own.
    def peak(rows: int) -> int:
        command = [sys.executable, "-c", _PEAK, str(rows), str(tmp_path / "month.csv.gz")]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return int(
            output.splitlines()[-1]
        )  # after a progress bar: without a script, DuckDB believes that a person looks on

    assert peak(2_000_000) <= 1.3 * peak(200_000)
