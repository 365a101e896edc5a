"""What the platform has set itself to reach, as ratios of what was measured in one run."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.results import Results

#: A suite, one of its contenders, and which of its figures.
Part = tuple[str, str, str]

_GB = 1e9


@dataclass(frozen=True)
class Target:
    """A bound on a ratio, or on a figure itself.

    Attributes:
        name: What is compared with what.
        ours: The median that is bounded.
        bound: The most it may be.
        limit: The medians whose sum it is divided by; none, if it is bounded itself.
        unit: Of a figure that is bounded itself: `s` or `GB`.
        below: Whether it must stay below the bound.
    """

    name: str
    ours: Part
    bound: float
    limit: tuple[Part, ...] = ()
    unit: str = ""
    below: bool = False

    def measured(self, results: Results) -> float | None:
        """The ratio, or the figure; None if not all of it was measured."""
        ours = results.median(*self.ours)
        limits = [results.median(*part) for part in self.limit]
        known = [it for it in limits if it is not None]
        if ours is None or len(known) < len(limits):
            return None
        return ours / (sum(known) if known else _GB if self.unit == "GB" else 1.0)

    def is_reached(self, measured: float) -> bool:
        """Whether that is good enough."""
        return measured < self.bound if self.below else measured <= self.bound

    def told(self, value: float) -> str:
        """A ratio as people say it: small ones as fractions."""
        if self.unit:
            return f"{value:.2f} {self.unit}"
        return f"1/{1 / value:.1f}".removesuffix(".0") if value < 0.2 else f"{value:.2f}×"

    @property
    def wanted(self) -> str:
        """The bound as people say it."""
        return f"{'<' if self.below else '≤'} {self.told(self.bound)}"


TARGETS = (
    Target("clean, against bare COPY", ("clean", "ours", "work"), 1.3, (("clean", "bare", "work"),)),
    Target("clean, against the course's pandas", ("clean", "ours", "work"), 1 / 12, (("clean", "gzip", "work"),)),
    Target(
        "DuckDB replace, against bare INSERT … SELECT",
        ("duckdb", "ours", "work"),
        1.3,
        (("duckdb", "insert", "work"),),
    ),
    Target(
        "PostgreSQL replace, against server-side COPY BINARY",
        ("postgres", "ours", "work"),
        1.6,
        (("postgres", "bare", "work"),),
    ),
    Target(
        "PostgreSQL replace, against pandas to_sql",
        ("postgres", "ours", "work"),
        1 / 40,
        (("postgres", "to_sql", "work"),),
    ),
    Target(
        "job to DuckDB, against dlt in blocks", ("job-duckdb", "ours", "wall"), 1.0, (("job-duckdb", "dlt", "wall"),)
    ),
    Target(
        "job to PostgreSQL, against dlt in blocks",
        ("job-postgres", "ours", "wall"),
        0.9,
        (("job-postgres", "dlt", "wall"),),
    ),
    Target("small job", ("job-small", "ours", "wall"), 3.0, unit="s"),
    Target(
        "small job, against import dagster + bare work",
        ("job-small", "ours", "wall"),
        2.0,
        (("job-small", "import", "wall"), ("job-small", "bare", "work")),
    ),
    Target("backfill, against single jobs", ("backfill", "ours", "wall"), 0.6, (("backfill", "singles", "wall"),)),
    Target(
        "time per row, most rows against a month",
        ("growth", "most", "wall_per_row"),
        1.1,
        (("growth", "month", "wall_per_row"),),
    ),
    Target("peak memory, most rows", ("growth", "most", "peak"), 1.0, unit="GB"),
    Target(
        "peak memory, most rows against a month",
        ("growth", "most", "peak"),
        1.5,
        (("growth", "month", "peak"),),
        below=True,
    ),
)
