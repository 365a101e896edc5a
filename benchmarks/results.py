"""What was measured: kept as JSON, so that it can be shown again without measuring."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from benchmarks.process import Run


@dataclass
class Subject:
    """The runs of one contender."""

    name: str
    title: str
    rows: int
    runs: list[Run] = field(default_factory=list[Run])

    def values(self, measure: str) -> list[float]:
        """A figure of every run that has it.

        Args:
            measure: `wall`, `cpu` or `peak` of the process, `work` or `work_cpu` of the work alone; `wall_per_row`.
        """
        match measure:
            case "work" | "work_cpu":
                name = "seconds" if measure == "work" else "cpu"
                return [run.told[name] for run in self.runs if name in run.told]
            case "wall_per_row":
                return [run.wall / self.rows for run in self.runs]
            case _:
                return [float(getattr(run, measure)) for run in self.runs]

    def median(self, measure: str) -> float | None:
        """The median of a figure; None where no run has it."""
        values = self.values(measure)
        return statistics.median(values) if values else None


@dataclass
class Measured:
    """A suite's subjects; the first is what the others are compared with."""

    name: str
    title: str
    subjects: list[Subject]

    def subject(self, name: str) -> Subject | None:
        """The one of that name."""
        return next((it for it in self.subjects if it.name == name), None)


@dataclass
class Results:
    """A benchmark.

    Attributes:
        about: The machine, the versions, the date: what to what.
        suites: What was measured.
    """

    about: dict[str, str] = field(default_factory=dict[str, str])
    suites: list[Measured] = field(default_factory=list[Measured])

    def suite(self, name: str) -> Measured | None:
        """The one of that name."""
        return next((it for it in self.suites if it.name == name), None)

    def median(self, suite: str, subject: str, measure: str) -> float | None:
        """A median; None if it was not measured."""
        found = self.suite(suite)
        contender = found and found.subject(subject)
        return contender.median(measure) if contender else None

    def save(self, path: Path) -> None:
        """Keep them."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        suites = [
            Measured(
                suite["name"],
                suite["title"],
                [Subject(**(it | {"runs": [Run(**run) for run in it["runs"]]})) for it in suite["subjects"]],
            )
            for suite in fields["suites"]
        ]
        return cls(fields["about"], suites)
