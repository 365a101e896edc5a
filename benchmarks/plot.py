"""`results.svg`: every ratio against its target, and every contender against ours, readable by day and by night."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.results import Measured, Results
from benchmarks.targets import TARGETS

_WIDTH, _LABELS, _FIGURES = 960, 380, 170
_ROW, _BAR, _HEAD, _FOOT = 24, 14, 56, 34
_STYLE = """
    text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328; }
    .title { font-size: 15px; font-weight: 600; }
    .small { font-size: 11px; fill: #59636e; }
    .line { stroke: #d1d9e0; }
    .one { stroke: #1f2328; stroke-width: 1.5; stroke-dasharray: 4 3; }
    .good { fill: #1a7f37; } .bad { fill: #cf222e; } .plain { fill: #4c78a8; }
    @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3; } .small { fill: #9198a1; }
        .line { stroke: #3d444d; } .one { stroke: #e6edf3; }
        .good { fill: #3fb950; } .bad { fill: #f85149; } .plain { fill: #79a7d9; }
    }
"""


@dataclass(frozen=True)
class _Bar:
    label: str
    value: float
    figure: str
    kind: str


@dataclass(frozen=True)
class _Panel:
    """Bars on a logarithmic scale, from 1 to the left or to the right."""

    title: str
    legend: str
    bars: Sequence[_Bar]

    @property
    def height(self) -> int:
        return _HEAD + _ROW * len(self.bars) + _FOOT

    def svg(self, top: int) -> Iterator[str]:
        marks = self._marks()
        low, high = math.log(marks[0]), math.log(marks[-1])
        room = _WIDTH - _LABELS - _FIGURES

        def x(value: float) -> float:
            return _LABELS + room * (math.log(value) - low) / (high - low)

        bottom = top + self.height - _FOOT
        yield f'<text class="title" x="16" y="{top + 22}">{escape(self.title)}</text>'
        yield f'<text class="small" x="16" y="{top + 40}">{escape(self.legend)}</text>'
        for mark in marks:
            yield (
                f'<line class="{"one" if mark == 1 else "line"}" x1="{x(mark):.1f}" x2="{x(mark):.1f}" '
                f'y1="{top + _HEAD - 4}" y2="{bottom}"/>'
            )
            yield f'<text class="small" text-anchor="middle" x="{x(mark):.1f}" y="{bottom + 16}">{mark:g}×</text>'
        for number, bar in enumerate(self.bars):
            y = top + _HEAD + number * _ROW
            begin, end = sorted((x(1.0), x(bar.value)))
            yield f'<text text-anchor="end" x="{_LABELS - 12}" y="{y + _BAR - 2}">{escape(bar.label)}</text>'
            yield (
                f'<rect class="{bar.kind}" x="{begin:.1f}" y="{y}" width="{max(end - begin, 1.5):.1f}" '
                f'height="{_BAR}" rx="2"/>'
            )
            yield f'<text x="{_WIDTH - _FIGURES + 12}" y="{y + _BAR - 2}">{escape(bar.figure)}</text>'

    def _marks(self) -> list[float]:
        """The scale: as wide as the bars need, in steps that leave room for their labels."""
        values = [it.value for it in self.bars]
        step = 2.0 if max(values) / min(values) < 32 else 10.0
        first = min(-1, math.floor(math.log(min(values), step)))
        last = max(1, math.ceil(math.log(max(values), step)))
        return [step**power for power in range(first, last + 1)]


def svg(results: Results) -> str:
    """The picture."""
    panels = [it for it in (_against_targets(results), _against_ours(results)) if it.bars]
    height = sum(it.height for it in panels)
    body: list[str] = []
    top = 0
    for panel in panels:
        body += panel.svg(top)
        top += panel.height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n"
    )


def _against_targets(results: Results) -> _Panel:
    bars: list[_Bar] = []
    for target in TARGETS:
        measured = target.measured(results)
        if measured is not None:
            kind = "good" if target.is_reached(measured) else "bad"
            bars.append(_Bar(target.name, measured / target.bound, f"{target.told(measured)}  ({target.wanted})", kind))
    return _Panel(
        "Measured against the target", "the dashed line is the target; left of it, it is reached; logarithmic", bars
    )


def _against_ours(results: Results) -> _Panel:
    bars = [it for suite in results.suites if suite.name not in ("growth", "breakdown") for it in _others(suite)]
    return _Panel("Time of others, ours is 1", "of stages the work alone, else whole processes; logarithmic", bars)


def _others(suite: Measured) -> Iterator[_Bar]:
    first, *others = suite.subjects
    for it in others:
        measure = "work" if first.values("work") and it.values("work") else "wall"
        ours, theirs = first.median(measure), it.median(measure)
        if ours and theirs:
            yield _Bar(f"{suite.name}: {it.title}", theirs / ours, f"{theirs / ours:.2f}×", "plain")
