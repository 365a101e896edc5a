"""Rows of months that TLC's catalogue does not have, counted where the files lie: a few kilobytes of each are read.

A month that was counted stays as it was: what it is for is to see that TLC has replaced it since.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.catalog.published import Counts, published_months
from taxi_platform.core.files import write_text
from taxi_platform.core.month import Month
from taxi_platform.core.source.errors import NotPublishedError
from taxi_platform.core.source.source import Source

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counted:
    """A month's file, as it was when its rows were counted.

    Attributes:
        dataset: The dataset.
        month: The month's key.
        rows: By the footer of its Parquet.
        bytes: Its size.
        etag: The version it was, as its source calls it.
        url: Where it is.
        counted_at: When, ISO 8601 in UTC.
    """

    dataset: str
    month: str
    rows: int
    bytes: int
    etag: str
    url: str
    counted_at: str


def place_of(data_dir: Path) -> Path:
    """Where the counts are kept in a data folder."""
    return data_dir / "reference" / "published_rows.csv"


def read_counts(data_dir: Path) -> list[Counted]:
    """What was counted so far; a file that cannot be read is passed over, as months are counted again."""
    path = place_of(data_dir)
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        return [_counted(it) for it in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s cannot be read, and is passed over: %s", path, error)
        return []


def _counted(line: Mapping[str, str]) -> Counted:
    told = (line[name] for name in ("etag", "url", "counted_at"))
    return Counted(line["dataset"], line["month"], int(line["rows"]), int(line["bytes"]), *told)


def counts_of(counted: Iterable[Counted]) -> Counts:
    """Rows by dataset and month."""
    return {(it.dataset, it.month): it.rows for it in counted}


def write_counts(data_dir: Path, counted: Sequence[Counted]) -> Path:
    """Keep what was counted; readers see the old counts or the new ones."""
    text = io.StringIO(newline="")
    lines = csv.DictWriter(text, [field.name for field in fields(Counted)], lineterminator="\n")
    lines.writeheader()
    lines.writerows(asdict(it) for it in sorted(counted, key=lambda it: (it.dataset, it.month)))
    path = place_of(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
    return path


def count(source: Source, contract: TripContract, known: Counts, last: Month, log: logging.Logger) -> Iterator[Counted]:
    """Count the months after those that are known, one after the other, until one is not published yet.

    Args:
        source: TLC's own files.
        contract: The dataset.
        known: What was counted before.
        last: The last month that may have been published.
        log: For progress, and months whose footer does not tell.

    Raises:
        UnavailableError: The source does not answer; what was given until then holds.
    """
    of_catalogue = [month for dataset, month in published_months() if dataset == contract.dataset]
    before = max(of_catalogue, default=contract.first_month.previous)
    for month in before.next.until(last):
        if (contract.dataset, str(month)) in known:
            continue
        try:
            found = source.probe(contract, month)
        except NotPublishedError:
            return
        rows = source.rows(contract, month, found)
        if rows is None:
            log.warning(f"{contract.dataset} {month}: {found.url} does not tell its rows; it is asked again next time")
            continue
        at = datetime.now(UTC).isoformat(timespec="seconds")
        log.info(f"{contract.dataset} {month}: {rows:,} rows")
        yield Counted(contract.dataset, str(month), rows, found.bytes or 0, found.etag or "", found.url, at)
