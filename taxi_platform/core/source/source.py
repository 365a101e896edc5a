"""A source: which files may hold a month, and bringing the first that does, whole, to its place.

To add a source, add the files it may hold a month in (`…_candidates`) or an origin beside `http.py` and `folder.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from taxi_platform.core.catalog.model import ReferenceContract, TripContract
from taxi_platform.core.errors import DiskFullError
from taxi_platform.core.files import publish, sha256_of
from taxi_platform.core.month import Month
from taxi_platform.core.room import full_disk_told
from taxi_platform.core.source.arrival import discard
from taxi_platform.core.source.checksums import verify_checksum
from taxi_platform.core.source.elsewhere import ELSEWHERE
from taxi_platform.core.source.errors import CorruptError, NotPublishedError, SourceError, UnavailableError
from taxi_platform.core.source.files import Publication, RawFile, Wanted
from taxi_platform.core.source.footer import rows_in_footer
from taxi_platform.core.source.inspection import inspect
from taxi_platform.core.source.retry import DEADLINE_SECONDS, LOCK_SECONDS, Deadline
from taxi_platform.core.turns import turn
from taxi_platform.core.urls import mask_url

_TLC = "https://d37ci6vzurychx.cloudfront.net"
_MIRROR = "https://github.com/DataTalksClub/nyc-tlc-data/releases/download"
#: Months the course's CSV mirror has; it was frozen in July 2022.
_MIRRORED = {"yellow": ("2019-01", "2021-07"), "green": ("2019-01", "2021-07"), "fhv": ("2019-01", "2019-12")}
#: Seconds after which waiting for another run is told.
_UNTOLD = 2.0
#: Where a file may be, the preferred place first.
Candidates = Callable[[Wanted], tuple[str, ...]]


class Origin(Protocol):
    """Something that holds files."""

    def probe(self, url: str, about: str) -> Publication | None:
        """What is announced at `url`; None where there is no such file."""
        ...

    def download(
        self,
        url: str,
        part: Path,
        known: Publication | None,
        about: str,
        log: logging.Logger,
        deadline: Deadline | None = None,
    ) -> Publication | None:
        """Bring the file at `url` to `part`; return `known` if that is current, None where there is no such file."""
        ...


@dataclass(frozen=True)
class Fetched:
    """The outcome of a fetch.

    Attributes:
        raw: The month's raw file.
        changed: False if the file that was here already is still the published one.
    """

    raw: RawFile
    changed: bool


@dataclass(frozen=True)
class Source:
    """Where months come from.

    Attributes:
        origin: What holds the files.
        candidates: Which of its files may be the wanted one.
        raw_dir: Where fetched files are kept, `<raw_dir>/<dataset>/<YYYY-MM>/<original file name>`.
        patience: Seconds a fetch may take, over all of its candidates.
        others: Seconds another run that fetches the same file is waited for.
    """

    origin: Origin
    candidates: Candidates
    raw_dir: Path
    patience: float = DEADLINE_SECONDS
    others: float = LOCK_SECONDS

    def probe(self, contract: TripContract, month: Month) -> Publication:
        """Ask whether a month is published, and as what.

        Raises:
            NotPublishedError: It is not.
            UnavailableError: The source cannot say now.
        """
        wanted = _month_file(contract, month)
        for url in self.candidates(wanted):
            if (found := self.origin.probe(url, wanted.about)) is not None:
                return found
        raise self._not_published(wanted)

    def rows(self, contract: TripContract, month: Month, found: Publication) -> int | None:
        """Rows of a month's file where it lies, by its own footer; None where it has none, or cannot be asked."""
        urls = [it for it in self.candidates(_month_file(contract, month)) if mask_url(it) == mask_url(found.url)]
        return rows_in_footer(found, urls[0]) if urls else None

    def folder_of(self, contract: TripContract, month: Month) -> Path:
        """Where a month's raw file is kept."""
        return self.raw_dir / contract.dataset / str(month)

    def fetch(self, contract: TripContract, month: Month, log: logging.Logger) -> Fetched:
        """Bring a month's file here, verified, unless the published one is here already.

        Args:
            contract: The dataset.
            month: The month.
            log: For progress and retries.

        Raises:
            NotPublishedError: The source does not have the month.
            UnavailableError: The source is throttling, failing or out of reach.
            CorruptError: What arrived is cut, damaged or a web page; the file that was here before is kept.
            DiskFullError: The disk has no room for it.
        """
        return self._fetch(_month_file(contract, month), self.folder_of(contract, month), log)

    def fetch_reference(self, contract: ReferenceContract, log: logging.Logger) -> Fetched:
        """Bring a reference table's file here; the same errors as `fetch`."""
        wanted = Wanted(contract.table, contract.table, "", (contract.file,))
        return self._fetch(wanted, self.raw_dir / contract.table, log)

    def fetch_as_it_is(self, wanted: Wanted, part: Path, log: logging.Logger) -> Publication:
        """Bring a file to `part`, whole, and not looked into: whoever reads it does that.

        Raises:
            SourceError: As of `fetch`.
            DiskFullError: The disk has no room for it.
        """
        deadline = Deadline(self.patience)
        for url in self.candidates(wanted):
            with _arriving(part, wanted.about):
                found = self.origin.download(url, part, None, wanted.about, log, deadline)
                if found is not None:
                    verify_checksum(part, found, wanted.about)
                    return found
        raise self._not_published(wanted)

    def _fetch(self, wanted: Wanted, folder: Path, log: logging.Logger) -> Fetched:
        lock = lock_of(self.raw_dir, wanted.dataset, wanted.month)
        doing = "fetching this file"
        with turn(lock, about=wanted.about, doing=doing, patience=self.others, log=log, raised=UnavailableError):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                return self._fetch_alone(wanted, folder, log)
            finally:
                with suppress(OSError):  # not empty: a file, or a part of one to take up, is kept
                    folder.rmdir()

    def _fetch_alone(self, wanted: Wanted, folder: Path, log: logging.Logger) -> Fetched:
        known = RawFile.in_folder(folder)
        if known is not None and not known.is_whole:
            log.warning(f"{wanted.about}: {known.path} is not what was fetched; fetching it again")
            known = None
        deadline = Deadline(self.patience)
        for url in self.candidates(wanted):
            shown = mask_url(url)
            current = known.publication if known and known.publication.url == shown else None
            part = folder / f".{Publication(shown).name}.part"
            with _arriving(part, wanted.about):
                found = self.origin.download(url, part, current, wanted.about, log, deadline)
                if found is None:
                    continue
                if known is not None and found is current:
                    log.info(f"{wanted.about}: unchanged at {shown}")
                    return Fetched(known, changed=False)
                return Fetched(_take(part, found, wanted), changed=True)
        raise self._not_published(wanted)

    def _not_published(self, wanted: Wanted) -> NotPublishedError:
        places = ", ".join(mask_url(url) for url in self.candidates(wanted)) or "no place: it never had the month"
        if not wanted.month:
            return NotPublishedError(
                "the source does not have it",
                about=wanted.about,
                where=places,
                cause="a folder or server of one's own has the file only if somebody has put it there",
                fix=f"put {wanted.names[0]} there, or take it from where it is published (TAXI_SOURCE=web)",
            )
        return NotPublishedError(
            "not published by this source",
            about=wanted.about,
            where=places,
            cause="TLC publishes a month 48 to 106 days after its end, or the source never had it",
            fix="take an earlier month, or point TAXI_SOURCE at a source that has this one",
        )


def lock_of(raw_dir: Path, dataset: str, month: str) -> Path:
    """What is held by whoever puts a raw file in its place."""
    return raw_dir / ".locks" / f"{'-'.join(filter(None, (dataset, month)))}.lock"


@contextmanager
def _arriving(part: Path, about: str) -> Generator[None, None, None]:
    """Leave nothing of a file that is another than announced, or that the disk cannot hold: nobody could go on with it.

    What a slow or failing source has sent so far is kept.

    Raises:
        DiskFullError: The disk became full in the block; it is named, not what was copied to it.
    """
    try:
        with full_disk_told(part, about=about):
            yield
    except (CorruptError, DiskFullError):
        discard(part)
        raise


def _take(part: Path, found: Publication, wanted: Wanted) -> RawFile:
    """Verify what arrived and make it the month's raw file; what fails is removed and the old file stays."""
    try:
        verify_checksum(part, found, wanted.about)
        inspection = inspect(part, found, wanted.about)
    except SourceError:
        discard(part)
        raise
    raw = RawFile(
        path=part.with_name(found.name),
        publication=found,
        sha256=sha256_of(part),
        bytes=part.stat().st_size,
        rows=inspection.rows,
        encoding=inspection.encoding,
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        cut_line=inspection.cut_line,
        contents=inspection.contents,
        text=inspection.text,
    )
    publish(part, raw.path)
    raw.record()
    for other in set(wanted.names) - {raw.path.name}:  # the month's other edition, which this one replaces
        raw.path.with_name(other).unlink(missing_ok=True)
    return raw


def _month_file(contract: TripContract, month: Month) -> Wanted:
    stem = f"{contract.dataset}_tripdata_{month}"
    names = (f"{stem}.csv.gz", f"{stem}.csv", f"{stem}.parquet")
    return Wanted(f"{contract.dataset} {month}", contract.dataset, str(month), names)


def web_candidates(wanted: Wanted) -> tuple[str, ...]:
    """The CSV mirror where it has the month, then TLC's own Parquet."""
    return (*mirror_candidates(wanted), *tlc_candidates(wanted)) if wanted.month else tlc_candidates(wanted)


def tlc_candidates(wanted: Wanted) -> tuple[str, ...]:
    """TLC's own Parquet only, whatever was published before it."""
    if not wanted.month and (address := ELSEWHERE.get(wanted.names[0])) is not None:
        return (address,)
    if not wanted.month:
        return tuple(f"{_TLC}/misc/{name}" for name in wanted.names)
    return (f"{_TLC}/trip-data/{wanted.names[-1]}",)


def mirror_candidates(wanted: Wanted) -> tuple[str, ...]:
    """The CSV mirror only; a reference table is the same wherever the months come from, and TLC has it."""
    if not wanted.month:
        return tlc_candidates(wanted)
    first, last = _MIRRORED.get(wanted.dataset, ("", ""))
    return (f"{_MIRROR}/{wanted.dataset}/{wanted.names[0]}",) if first <= wanted.month <= last else ()


def base_candidates(base: str) -> Candidates:
    """The files directly below a URL or folder; a reference table also below its `misc`, as on TLC's server."""

    def candidates(wanted: Wanted) -> tuple[str, ...]:
        places = (base,) if wanted.month else (base, f"{base}/misc")
        return tuple(f"{place}/{name}" for place in places for name in wanted.names)

    return candidates


def sample_candidates(wanted: Wanted) -> tuple[str, ...]:
    """What the sample generator calls the file."""
    return tuple(f"sample://{name}" for name in wanted.names)
