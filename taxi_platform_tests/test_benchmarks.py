"""The benchmark itself: what it measures, what it makes of it, and that it runs the real thing."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.plan import QUICK
from benchmarks.plot import svg
from benchmarks.process import ChildFailedError, Run, cpu_of_session, in_background, measure
from benchmarks.report import BEGIN, END, markdown, replaced, targets_table
from benchmarks.results import Measured, Results, Subject
from benchmarks.suites.all import SUITES
from benchmarks.targets import TARGETS, Target
from benchmarks.world import ROOT, World

ROWS = 5_000


def python(*lines: str) -> Run:
    return measure([sys.executable, "-c", "\n".join(lines)])


def subject(name: str, *seconds: float, rows: int = 1_000, peak: int = 0) -> Subject:
    runs = [Run(wall=it * 2, cpu=it, peak=peak, told={"seconds": it, "cpu": it}) for it in seconds]
    return Subject(name, f"the {name}", rows, runs)


def results(*suites: tuple[str, list[Subject]]) -> Results:
    return Results({"Date": "2021-02-01"}, [Measured(name, f"Title of {name}", it) for name, it in suites])


def in_session(leader: int) -> list[str]:
    """The processes of a session, without those that are dead and that nobody has asked about."""
    command = ["pgrep", "--runstates", "R,S,D", "--session", str(leader)]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.split()


def test_wall_time_is_that_of_the_whole_process_and_sleep_is_no_cpu() -> None:
    run = python("import time", "time.sleep(0.5)")
    assert 0.5 < run.wall < 5
    assert run.cpu < 0.4
    assert abs(time.time() - run.wall - run.began) < 1


def test_cpu_is_what_was_computed() -> None:
    run = python("import time", "while time.process_time() < 0.4: pass")
    assert 0.4 <= run.cpu < 1.5
    assert run.wall >= 0.4


def test_peak_is_the_most_memory_there_was_and_not_what_was_left() -> None:
    # Measured by a process as small as the benchmark's own: pytest has more memory than what is started here.
    run = python(
        "import sys",
        "from benchmarks.process import measure",
        "from benchmarks.work import tell",
        "peak = lambda code: measure([sys.executable, '-c', code]).peak",
        "tell(small=peak('pass'), large=peak('held = bytearray(200_000_000); del held'))",
    )
    assert 5e6 < run.told["small"] < 60e6
    assert 200e6 < run.told["large"] < 270e6


def test_what_a_process_tells_of_its_work_is_kept() -> None:
    lines = ("print('noise')", "with work():", "    time.sleep(0.2)", "tell(rows=3)", "time.sleep(0.3)")
    run = python("import time", "from benchmarks.work import tell, work", *lines)
    assert run.told["rows"] == 3
    assert 0.2 <= run.told["seconds"] < 0.3 + 0.2
    assert run.told["seconds"] < run.wall - 0.3


def test_a_child_that_fails_is_told_with_its_command_and_last_lines() -> None:
    with pytest.raises(ChildFailedError) as failed:
        python("for number in range(100): print('line', number)", "raise SystemExit(7)")
    said = str(failed.value)
    assert "line 99" in said
    assert "line 12\n" not in said
    assert "exit status 7" in said
    assert "raise SystemExit(7)" in said


def test_what_is_in_the_background_is_ended_with_all_it_started(tmp_path: Path) -> None:
    # Ctrl-C, which ends the shell, does not reach what it has started without job control.
    busy = ["bash", "-c", "while :; do :; done & wait"]
    with in_background(busy, {"PATH": os.defpath}, tmp_path, tmp_path / "log") as process:
        while cpu_of_session(process.pid) < 0.1:  # what the shell has started counts, too
            time.sleep(0.02)
        assert len(in_session(process.pid)) == 2
    time.sleep(0.2)
    assert in_session(process.pid) == []


def test_the_process_that_measures_has_little_memory_of_its_own() -> None:
    # A child's peak is never less than what its parent had.
    shown = "import benchmarks.__main__, sys; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", shown], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "benchmarks.world" in loaded.stdout.split()
    assert not {"dagster", "duckdb", "pyarrow", "pandas", "numpy"} & set(loaded.stdout.split())


def test_targets_are_judged_by_medians_and_only_where_all_was_measured() -> None:
    measured = results(
        ("clean", [subject("ours", 1.0, 9.0, 1.2), subject("bare", 1.0, 1.0, 1.0)]),
        ("duckdb", [subject("ours", 1.4), subject("insert", 1.0), subject("replace", 1.0)]),
    )
    assert [row[1:] for row in targets_table(measured).rows] == [
        ["≤ 1.30×", "1.20×", "reached"],
        ["≤ 1.30×", "1.40×", "**not reached**"],
    ]


def test_a_small_ratio_is_told_as_a_fraction_and_a_sum_of_limits_is_one_limit() -> None:
    measured = results(
        ("clean", [subject("ours", 1.0), subject("gzip", 13.0)]),
        ("job-small", [subject("ours", 1.6), subject("import", 0.5), subject("bare", 0.5)]),
    )
    fraction, seconds, sum_of_two = targets_table(measured).rows
    assert fraction[1:] == ["≤ 1/12", "1/13", "reached"]
    assert seconds[1:] == ["≤ 3.00 s", "3.20 s", "**not reached**"]
    assert sum_of_two[2] == "2.13×"  # 3.2 s of wall against 1.0 s of wall + 0.5 s of work


def test_growth_is_judged_by_time_per_row_and_by_memory() -> None:
    month, most = subject("month", 1.0, rows=1_000, peak=500_000_000), subject("most", 12.0, rows=10_000, peak=10**9)
    assert [row[2:] for row in targets_table(results(("growth", [month, most]))).rows] == [
        ["1.20×", "**not reached**"],
        ["1.00 GB", "reached"],
        ["2.00×", "**not reached**"],
    ]


def test_a_bound_to_stay_below_is_not_reached_by_touching_it() -> None:
    part = ("clean", "ours", "wall")
    assert Target("at most", part, 1.5).is_reached(1.5)
    assert not Target("below", part, 1.5, below=True).is_reached(1.5)


def test_targets_name_suites_there_are() -> None:
    assert {part[0] for target in TARGETS for part in (target.ours, *target.limit)} <= set(SUITES)


def test_what_people_wrote_is_kept_and_what_was_measured_is_replaced() -> None:
    measured = results(("clean", [subject("ours", 1.0, 1.1, 3.0), subject("bare", 1.0)]))
    text = f"# Title\n\nabove\n\n{BEGIN}\n\nold figures\n\n{END}\n\n## What limits\n\nby hand\n"
    once = replaced(text, markdown(measured, "sizes"))
    assert once.startswith("# Title\n\nabove\n\n")
    assert once.endswith(f"{END}\n\n## What limits\n\nby hand\n")
    assert "old figures" not in once
    assert "| the ours | 3 | 1 | 2.20 | 2.00 – 6.00 |" in once
    assert "- Date: 2021-02-01" in once
    assert replaced(once, markdown(measured, "sizes")) == once
    with pytest.raises(ValueError, match="measured: begin"):
        replaced("# Title\n", "figures")


def test_the_shipped_document_can_be_filled() -> None:
    assert "figures" in replaced((ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8"), "figures")


def test_results_can_be_shown_again_without_measuring(tmp_path: Path) -> None:
    measured = results(("clean", [subject("ours", 1.0, 1.1), subject("bare", 1.0)]))
    measured.save(tmp_path / "results.json")
    again = Results.load(tmp_path / "results.json")
    assert again == measured
    assert svg(again) == svg(measured)
    assert svg(again).count("<rect") == 2


@pytest.mark.parametrize(
    ("suite", "contenders"),
    [("clean", ["ours", "bare", "unpacked"]), ("duckdb", ["ours", "insert", "unordered", "replace"])],
)
def test_a_stage_is_measured_beside_its_limit(tmp_path: Path, suite: str, contenders: list[str]) -> None:
    with ExitStack() as stack:
        world = World(replace(QUICK, month_rows=ROWS, repeats=1, slow_repeats=0), stack, tmp_path / "bench")
        found = {contender.name: run for contender, run in SUITES[suite](world).alternate(world)}
        assert list(found) == contenders
        for run in found.values():
            assert 0 < run.told["seconds"] < run.wall
            assert 0 < run.told["cpu"] <= run.cpu
            assert run.peak > 30e6  # and how much at most depends on the process that runs the tests
        assert not list(world.work.glob("run"))
    assert not world.work.exists()
