"""What months will take: bytes, rows, minutes and disk, by what months before took, else by what was measured.

Nothing is asked or looked up here: who plans has asked the source, and the records of the runs before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import DiskFullError
from taxi_platform.core.room import Room, human_bytes, room_of

#: Measured on generated months and TLC's own: bytes per row of a csv.gz, of a Parquet file, of the cleaned Parquet, of
#: DuckDB's table; and how much larger an unpacked CSV is than its csv.gz.
CSV_BYTES, PARQUET_BYTES, CLEANED_BYTES, TABLE_BYTES, UNPACKED = 30.0, 18.0, 22.0, 45.0, 10.0
#: Measured on two cores: what a month takes however small it is, and per row, in seconds.
LEAST_SECONDS, SECONDS_PER_ROW = 1.3, 2.5e-6
#: From the launch of a month until it has begun; until the queue, which looks every second, has seen that a place is
#: free; and until the daemon has taken a backfill up. Estimates, until the months before say better.
START_SECONDS, TURN_SECONDS, BEGIN_SECONDS = 0.7, 0.7, 8.0
#: BigQuery keeps so many bytes a month for nothing; to load costs nothing: https://cloud.google.com/bigquery/pricing
FREE_BIGQUERY_BYTES = 10 * 2**30


@dataclass(frozen=True)
class Past:
    """What a month took before.

    Attributes:
        rows: Rows of its source file.
        raw: Bytes of that file.
        cleaned: Bytes of its cleaned file.
        seconds: From the begin of its run to its end; None: nobody knows.
        edition: `csv` or `parquet`.
        start: Seconds from its launch by the queue until it had begun; None: nobody knows, or it was not queued.
    """

    rows: int
    raw: int
    cleaned: int
    seconds: float | None
    edition: str
    start: float | None = None


@dataclass(frozen=True)
class Rates:
    """What a row takes, in bytes and seconds; and a month, however small.

    Attributes:
        months: How many months before it was learned from; 0: it was measured elsewhere.
    """

    csv: float = CSV_BYTES
    parquet: float = PARQUET_BYTES
    cleaned: float = CLEANED_BYTES
    table: float = TABLE_BYTES
    least_seconds: float = LEAST_SECONDS
    seconds: float = SECONDS_PER_ROW
    start: float = START_SECONDS
    months: int = 0

    @classmethod
    def learned_from(cls, past: Sequence[Past]) -> Rates:
        """What the months before say; of what they do not say, what was measured."""
        past = [it for it in past if it.rows > 0]
        timed = [it for it in past if it.seconds is not None]
        plain = cls()

        def rate(of: Iterable[float], otherwise: float) -> float:
            found = list(of)
            return median(found) if found else otherwise

        # Of small months, most of the time is the same for all; of large ones next to nothing is.
        over = [((it.seconds or 0.0) - plain.least_seconds) / it.rows for it in timed if it.rows > 200_000]
        per_row = max(rate(over, plain.seconds), 0.0)
        least = rate([(it.seconds or 0.0) - per_row * it.rows for it in timed], plain.least_seconds)
        return cls(
            csv=rate((it.raw / it.rows for it in past if it.edition == "csv"), plain.csv),
            parquet=rate((it.raw / it.rows for it in past if it.edition == "parquet"), plain.parquet),
            cleaned=rate((it.cleaned / it.rows for it in past if it.cleaned), plain.cleaned),
            table=plain.table,
            least_seconds=max(least, 0.1),
            seconds=per_row,
            start=rate((it.start for it in past if it.start is not None), plain.start),
            months=len(timed),
        )

    def bytes_per_row(self, edition: str) -> float:
        """Of a source file."""
        return self.parquet if edition == "parquet" else self.csv


@dataclass(frozen=True)
class PlannedMonth:
    """A month of a plan.

    Attributes:
        month: `YYYY-MM`.
        why: Why it is taken.
        bytes: Bytes of its source file; None: the source does not have it.
        rows: Its rows; None: the source does not have it.
        counted_by: Who says how many rows: the catalogue, the file's footer, an earlier run, or an estimate.
        edition: `csv` or `parquet`.
        here: The layers that hold it already, and will hold it anew.
    """

    month: str
    why: str
    bytes: int | None
    rows: int | None
    counted_by: str
    edition: str = "csv"
    here: frozenset[str] = frozenset()

    @property
    def is_published(self) -> bool:
        """Whether the source has it."""
        return self.bytes is not None


@dataclass(frozen=True)
class Need:
    """What one layer needs of one disk."""

    layer: str
    folder: Path
    bytes: int


@dataclass(frozen=True)
class Plan:
    """What a backfill would do.

    Attributes:
        dataset: The dataset.
        months: Its months, oldest first.
        rates: What it is reckoned by.
        width: How many months at once.
        folders: Layer -> the folder on this machine that grows; layers kept elsewhere are not in it.
        bigquery_row: Bytes of a row in BigQuery; 0: the warehouse is another.
    """

    dataset: str
    months: Sequence[PlannedMonth]
    rates: Rates
    width: int
    folders: dict[str, Path] = field(default_factory=dict[str, Path])
    bigquery_row: int = 0

    @property
    def bytes(self) -> int:
        """Of all source files."""
        return sum(it.bytes or 0 for it in self.months)

    @property
    def rows(self) -> int:
        """Of all source files."""
        return sum(it.rows or 0 for it in self.months)

    @property
    def seconds(self) -> float:
        """From the begin to the end of the backfill."""
        each = [
            TURN_SECONDS + self.rates.start + self.rates.least_seconds + self.rates.seconds * (it.rows or 0)
            for it in self.months
            if it.is_published
        ]
        return BEGIN_SECONDS + max([sum(each) / self.width, *each]) if each else 0.0

    @property
    def bigquery_bytes(self) -> int:
        """What the months will take in BigQuery, at most."""
        return self.rows * self.bigquery_row

    @property
    def needs(self) -> list[Need]:
        """What each layer needs beyond what it holds; and at the same time, the months at work unpacked."""

        def fresh(layer: str, per_row: float) -> int:
            return round(sum((it.rows or 0) * per_row for it in self.months if layer not in it.here))

        raw = sum(it.bytes or 0 for it in self.months if "raw" not in it.here)
        largest = sorted((self._unpacked(it) for it in self.months), reverse=True)[: self.width]
        bytes_of = {
            "raw": raw,
            "cleaned": fresh("cleaned", self.rates.cleaned),
            "lake": fresh("lake", self.rates.cleaned),
            "warehouse": fresh("warehouse", self.rates.table),
            "at work": round(sum(largest)),
        }
        return [Need(layer, self.folders[layer], bytes_of[layer]) for layer in bytes_of if layer in self.folders]

    def _unpacked(self, it: PlannedMonth) -> float:
        rows = it.rows or 0
        unpacked = UNPACKED if it.edition == "csv" else 1.0
        return (it.bytes or 0) * unpacked + rows * self.rates.cleaned

    def require_room(self) -> None:
        """Make sure that every disk takes what is planned for it, all layers on it together.

        Raises:
            DiskFullError: One does not.
        """
        for room, needs in self.by_disk():
            needed = sum(it.bytes for it in needs)
            if not room.takes(needed):
                layers = ", ".join(f"{it.layer} {human_bytes(it.bytes)}" for it in needs)
                raise DiskFullError(
                    f"{len(self.months)} months need {human_bytes(needed)}",
                    about=self.dataset,
                    where=str(room.folder),
                    cause=f"{room}; {layers}",
                    fix="take fewer months at a time, make room, or point TAXI_DATA_DIR at a larger disk",
                )

    def by_disk(self) -> list[tuple[Room, list[Need]]]:
        """What is needed of each disk."""
        found: dict[int, tuple[Room, list[Need]]] = {}
        for need in self.needs:
            room = room_of(need.folder)
            found.setdefault(room.folder.stat().st_dev, (room, []))[1].append(need)
        return list(found.values())


def bigquery_row_bytes(contract: TripContract) -> int:
    """Bytes of a row in BigQuery where no value is null: eight for most types, and about as much for short texts.

    See https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#data_type_sizes
    """
    return 8 * len(contract.table_columns)
