"""The tables: of targets, of each suite, of where a job's time goes; for a terminal and for `RESULTS.md`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.results import Measured, Results, Subject
from benchmarks.targets import TARGETS

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_MB = 1e6
#: How columns begin that say how far the runs are from each other.
RANGE = "range"
_PROCESS = ("whole process, s", f"{RANGE}, s", "CPU, s", "peak, MB")
_LEGEND = (
    "Medians, and the range of all runs beside them. Each contender is a process of its own, run in turn with the "
    "others. *Whole process* is from its start to its exit, *work* is what it does after its imports. *ours ÷ it* "
    "divides the median of the first row by the contender's: below 1 the first takes less. Of the stages, the ratios "
    "of the work are those of record."
)


@dataclass(frozen=True)
class Table:
    """A title, column names and rows, all of them text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As Markdown; the first column is text, the others are numbers."""
        lines = [self.head, ["---", *["---:"] * (len(self.head) - 1)], *self.rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"### {self.title}\n\n{body}\n"


def tables(results: Results) -> Iterator[Table]:
    """All there is to show."""
    targets = targets_table(results)
    if targets.rows:
        yield targets
    for suite in results.suites:
        match suite.name:
            case "breakdown":
                yield from _breakdowns(suite)
            case "growth":
                yield _growth(suite)
            case _:
                yield _comparison(suite)


def targets_table(results: Results) -> Table:
    """What was to be reached, and what was."""
    rows: list[list[str]] = []
    for target in TARGETS:
        measured = target.measured(results)
        if measured is not None:
            verdict = "reached" if target.is_reached(measured) else "**not reached**"
            rows.append([target.name, target.wanted, target.told(measured), verdict])
    return Table("Targets", ("ours", "target", "measured", ""), rows)


def markdown(results: Results, rows_of: str) -> str:
    """The generated part of `RESULTS.md`.

    Args:
        results: What was measured.
        rows_of: In words, what it was measured with.
    """
    about = "\n".join(f"- {name}: {value}" for name, value in results.about.items())
    plot = "![Ratios against their targets, and the time of others](results.svg)"
    shown = (it.markdown() for it in tables(results))
    return "\n".join([about, "", rows_of, "", plot, "", _LEGEND, "", *shown]).rstrip()


def replaced(text: str, measured: str) -> str:
    """A document with what is between the markers exchanged, and all that people wrote kept."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"


def _comparison(suite: Measured) -> Table:
    first = suite.subjects[0]
    has_work = any(it.values("work") for it in suite.subjects)
    head = [" ", "runs", "ours ÷ it", *_PROCESS]
    # What has no imports to leave out, such as a whole job, has no work to compare either.
    ratio_head = ["ours ÷ it, work"] if first.values("work") else []
    work_head = [*ratio_head, "work, s", f"{RANGE} of the work, s", "work CPU, s"] if has_work else []
    rows: list[list[str]] = []
    for it in suite.subjects:
        row = [it.title, str(len(it.runs)), _ratio(first, it, "wall"), *_process_figures(it)]
        if has_work:
            row += [_ratio(first, it, "work")] if ratio_head else []
            row += [*_spread(it.values("work")), _number(it.median("work_cpu"))]
        rows.append(row)
    return Table(suite.title, [*head, *work_head], rows)


def _growth(suite: Measured) -> Table:
    month = suite.subjects[0]
    rows = [
        [
            it.title,
            str(len(it.runs)),
            _ratio(it, month, "wall_per_row"),
            _ratio(it, month, "peak"),
            _number((it.median("wall_per_row") or 0.0) * 1e6),
            *_process_figures(it),
        ]
        for it in sorted(suite.subjects, key=lambda it: it.rows)
    ]
    head = (" ", "runs", "time per row ÷ a month's", "peak ÷ a month's", "s per million rows")
    return Table(suite.title, (*head, *_PROCESS), rows)


def _breakdowns(suite: Measured) -> Iterator[Table]:
    for subject in suite.subjects:
        whole = statistics.median(subject.values("wall"))
        parts = _medians(run.told["parts"] for run in subject.runs)
        within = _medians(run.told["within"] for run in subject.runs)
        rows = [[name, f"{seconds / whole:.1%}", f"{seconds:.3f}"] for name, seconds in parts.items()]
        rows += [[f"*in all of these:* {name}", f"{it / whole:.1%}", f"{it:.3f}"] for name, it in within.items()]
        rows.append(["the whole process", "100.0%", f"{whole:.3f}"])
        yield Table(f"{suite.title}: {subject.title}", (" ", "share", "s"), rows)


def _medians(runs: Iterable[dict[str, float]]) -> dict[str, float]:
    """The median of each name's values, in the order of the first run."""
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.items():
            values.setdefault(name, []).append(value)
    return {name: statistics.median(it) for name, it in values.items()}


def _process_figures(subject: Subject) -> list[str]:
    peak = subject.median("peak")
    return [
        *_spread(subject.values("wall")),
        _number(subject.median("cpu")),
        f"{peak / _MB:,.0f}" if peak else "",
    ]


def _ratio(subject: Subject, other: Subject, measure: str) -> str:
    if subject is other:
        return "1"
    ours, theirs = subject.median(measure), other.median(measure)
    return f"{ours / theirs:.2f}" if ours and theirs else ""


def _spread(values: Sequence[float]) -> list[str]:
    """The median, and the range around it."""
    if not values:
        return ["", ""]
    return [_number(statistics.median(values)), f"{_number(min(values))} – {_number(max(values))}"]


def _number(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return ""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"
