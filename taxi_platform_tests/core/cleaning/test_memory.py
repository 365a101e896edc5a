"""A month's size must not be a process's size: memory stays bounded while months grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taxi_platform.core.cleaning.clean import STAGE_IN_MEMORY_ROWS

STATUS = Path("/proc/self/status")
pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells a process's own peak")

LARGEST_RSS_MB = 1_000
CLEAN_AND_MEASURE = """
import sys
from pathlib import Path
from taxi_platform.core.month import Month
from taxi_platform.core.source.sample import write_month
from taxi_platform_tests.core.cleaning.months import YELLOW, raw_file
from taxi_platform.core.cleaning import clean

step, path, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
if step == "write":
    write_month(YELLOW, Month(2021, 1), rows, path)
else:
    (path.parent / step).mkdir()
    month = clean(YELLOW, Month(2021, 1), raw_file(path), YELLOW.actions(), path.parent / step)
    # Not ru_maxrss: that begins with the peak of whoever started the process.
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print()  # ends the line of a progress bar
    print(month.cleaned.rows + month.quarantine.rows, peak >> 10)
"""


def in_a_process_of_its_own(step: str, path: Path, rows: int) -> str:
    command = [sys.executable, "-c", CLEAN_AND_MEASURE, step, str(path), str(rows)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("rows", [200_000, pytest.param(2_500_000, marks=pytest.mark.campaign)])
def test_cleaning_a_month_stays_within_its_memory(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "yellow_tripdata_2021-01.csv.gz"
    in_a_process_of_its_own("write", path, rows)
    cleaned, peak = map(int, in_a_process_of_its_own("clean", path, rows).splitlines()[-1].split())

    assert cleaned == rows
    assert peak <= LARGEST_RSS_MB
    assert (tmp_path / "clean" / "stage.duckdb").exists() == (rows > STAGE_IN_MEMORY_ROWS)


WIDE_AND_MEASURE = """
import sys
from pathlib import Path
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from taxi_platform_tests.core.cleaning.months import TRIP, clean_file

path, columns, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
known = {name: pa.array([value] * rows) for name, value in TRIP.items()}
table = pa.table(known | {f"x{number}": pa.array(range(number, number + rows)) for number in range(columns)})
if path.suffix == ".csv":
    pyarrow.csv.write_csv(table, path)
else:
    pq.write_table(table, path)
del table
outcome = clean_file(path)
last = outcome.extras[-1]
print(outcome.cleaned.num_rows, len(last), last[f"x{columns - 1}"])
"""


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("columns", "rows"), [(1_450, 2_500), pytest.param(300, 12_000, marks=pytest.mark.campaign)])
def test_many_unknown_columns_of_many_rows_fit_into_a_runs_memory(
    columns: int, rows: int, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"yellow_tripdata_2021-01.{suffix}"
    command = [sys.executable, "-c", WIDE_AND_MEASURE, str(path), str(columns), str(rows)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    assert told.split() == [str(rows), str(columns), str(columns + rows - 2)]
