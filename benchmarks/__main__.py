"""`make bench`: measure, show, and write down.

    python -m benchmarks run [--quick] [--only clean,growth]
    python -m benchmarks render

A quick look or a selection prints its tables; only the whole benchmark writes `RESULTS.md` and `results.svg`. `render`
writes them again from the last whole one, without measuring.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from benchmarks.machine import about
from benchmarks.plan import FULL, MONTH_ROWS, QUICK, Plan
from benchmarks.plot import svg
from benchmarks.process import ChildFailedError
from benchmarks.report import RANGE, markdown, replaced, tables
from benchmarks.results import Measured, Results, Subject
from benchmarks.suites.all import SUITES
from benchmarks.targets import TARGETS
from benchmarks.world import BENCH, ROOT, World, end_all_when_told_to_end

_RESULTS, _LOOK = BENCH / "results.json", BENCH / "look.json"
_DOCUMENT, _PLOT = ROOT / "benchmarks" / "RESULTS.md", ROOT / "benchmarks" / "results.svg"


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure")
    run.add_argument("--quick", action="store_true", help="small months and few repeats")
    run.add_argument("--only", default="", help=f"some of {','.join(SUITES)}")
    commands.add_parser("render", help="write RESULTS.md again from the last whole benchmark")
    given = parser.parse_args(arguments)
    console = Console(markup=False, highlight=False, emoji=False)
    if given.command == "render":
        write(Results.load(_RESULTS), _DOCUMENT, _PLOT)
        return 0
    names = [it for it in given.only.split(",") if it] or list(SUITES)
    if unknown := [it for it in names if it not in SUITES]:
        parser.error(f"there is no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    plan, is_whole = QUICK if given.quick else FULL, not given.quick and set(names) == set(SUITES)
    try:
        end_all_when_told_to_end()
        results = measure_all(plan, names, console, _RESULTS if is_whole else _LOOK)
    except ChildFailedError as error:
        console.print(str(error), style="red", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    show(results, console)
    if given.quick:
        console.print("A quick look: months are small and runs few, so start-up weighs more than it should.")
    if is_whole:
        if unmeasured := [it.name for it in TARGETS if it.measured(results) is None]:
            raise SystemExit(f"not measured: {'; '.join(unmeasured)}")
        write(results, _DOCUMENT, _PLOT)
        console.print(f"Written to {_DOCUMENT.relative_to(ROOT)} and {_PLOT.relative_to(ROOT)}.")
    return 0


def measure_all(plan: Plan, names: Sequence[str], console: Console, path: Path) -> Results:
    """Measure some suites, telling of every run and keeping the results of each suite in a file."""
    results = Results()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        world = World(plan, stack)
        progress = stack.enter_context(Progress(*columns, console=console))
        for name in names:
            task = progress.add_task(f"{name}: preparing", total=None)
            suite = SUITES[name](world)
            subjects = {it.name: Subject(it.name, it.title, it.rows) for it in suite.contenders}
            progress.update(task, total=suite.runs, description=name)
            for contender, run in suite.alternate(world):
                subject = subjects[contender.name]
                subject.runs.append(run)
                turn = f"{len(subject.runs)}/{contender.repeats}"
                progress.console.print(
                    f"{name:13} {turn:>4} {run.wall:8.2f} s {run.peak / 1e6:7.0f} MB  {subject.title}"
                )
                progress.advance(task)
            results.suites.append(Measured(suite.name, suite.title, list(subjects.values())))
            results.about = about(world)
            results.save(path)  # half an hour's work is not lost with what comes after it
    return results


def show(results: Results, console: Console) -> None:
    """The tables on a terminal, which has no room for ranges."""
    for it in tables(results):
        shown = RichTable(title=it.title, title_justify="left")
        wanted = [number for number, name in enumerate(it.head) if not name.startswith(RANGE)]
        for number in wanted:
            shown.add_column(it.head[number], justify="right" if number else "left")
        for row in it.rows:
            shown.add_row(*(row[number].replace("*", "") for number in wanted))
        console.print(shown)


def write(results: Results, document: Path, plot: Path) -> None:
    """The measured part of the document, and the plot."""
    sizes = (
        f"Generated months of yellow in the layout and packing of TLC's own: {MONTH_ROWS:,} rows, as January 2021 had, "
        f"or as a row says; *small* months have {FULL.small_rows:,}."
    )
    text = document.read_text(encoding="utf-8")
    document.write_text(replaced(text, markdown(results, sizes)), encoding="utf-8")
    plot.write_text(svg(results), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
