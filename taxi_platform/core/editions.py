"""What was checked is what is stored: files are handed on by the name of their content, and who takes one checks it.

A month has one place, and several runs may work on it: one with an older file than the other, or with other rules. So
that none of them stores what another has checked, or the older over the newer,

- what reads files sees that they stay what they were handed on as, to the end of the reading (`held_still`);
- what puts a month somewhere does it alone (`alone`), and only if the place it takes the month from still holds it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from taxi_platform.core.errors import ReplacedError, TaxiPlatformError
from taxi_platform.core.files import FileState, publish, sha256_of
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source.files import RawFile
from taxi_platform.core.turns import turn

#: Seconds to wait for another run that puts the same month somewhere: a load may take minutes, and wait for a table.
PATIENCE = 3600.0

_log = logging.getLogger(__name__)


#: A file and the name of the content it was handed on as.
Named = RawFile | ParquetFile


@contextmanager
def held_still(about: str, *files: Named) -> Generator[Callable[[], None], None, None]:
    """What the block reads of the files is what they were handed on as, from its beginning to its end.

    Args:
        about: Dataset and month.
        files: The files. They are looked at, not locked: readers never wait.

    Yields:
        A look between: for a block that tells what it has found before it ends.

    Raises:
        ReplacedError: One is not, whatever else went wrong in the block because of that.
    """
    states = [_taken(about, file) for file in files]

    def look() -> None:
        for file, state in zip(files, states, strict=True):
            _require_still(about, file, state)

    try:
        yield look
    except Exception as error:
        try:
            look()
        except ReplacedError as replaced:
            raise replaced from error
        raise
    look()


def require_name(about: str, file: Named, name: str) -> None:
    """See that a file is what it was handed on as.

    Raises:
        ReplacedError: It is not.
    """
    if file.sha256 != name:
        raise ReplacedError(about, str(file.path))


@dataclass(frozen=True)
class MonthFiles:
    """A month's places in the data folder.

    Attributes:
        data_dir: The data folder.
        dataset: The dataset.
        month: The month.
    """

    data_dir: Path
    dataset: str
    month: Month

    @property
    def about(self) -> str:
        """What it is to people."""
        return f"{self.dataset} {self.month}"

    @property
    def raw_folder(self) -> Path:
        """Where the raw file and its record are."""
        return self.data_dir / "raw" / self.dataset / str(self.month)

    def path(self, layer: str) -> Path:
        """Where the Parquet file of a layer is."""
        return self.data_dir / layer / self.dataset / f"{self.month}.parquet"

    def alone(self, patience: float = PATIENCE) -> AbstractContextManager[None]:
        """No other run on this machine puts this month anywhere during the block.

        Raises:
            TaxiPlatformError: Another one has not come to its end in `patience` seconds.
        """
        lock = self.data_dir / ".locks" / f"{self.dataset}-{self.month}.lock"
        return turn(lock, about=self.about, doing="storing this month", patience=patience, log=_log)

    def standing(self) -> FileState | None:
        """Which cleaned file there is now; None without one. What `publish` wants to know of the time before."""
        return _state_of(self.path("cleaned"))

    def publish(self, cleaned: ParquetFile, quarantine: ParquetFile, since: FileState | None) -> dict[str, ParquetFile]:
        """Put a month's two files in their places: both or, where a newer edition stands there, none.

        Args:
            cleaned: The rows that were kept.
            quarantine: The rows that were turned away.
            since: What was `standing` before the raw file was read.

        Returns:
            The two files in their places, by layer, each with its name.

        Raises:
            ReplacedError: The raw file they were made of is not the month's any more; or another run has cleaned the
                one that is, by another contract or other rules, since this one read it.
        """
        with self.alone():
            self._require_newest(cleaned, since)
            for layer, file in (("quarantine", quarantine), ("cleaned", cleaned)):
                if not _is(file, self.path(layer)):  # the same bytes stay, and so whoever reads them is not disturbed
                    publish(file.path, self.path(layer))
            placed = {layer: ParquetFile(self.path(layer)) for layer in ("quarantine", "cleaned")}
            for file in placed.values():
                _ = file.sha256  # now: a moment later another run may have put its own there
        return placed

    def _require_newest(self, cleaned: ParquetFile, since: FileState | None) -> None:
        raw, ours = RawFile.in_folder(self.raw_folder), cleaned.lineage
        if raw is not None and raw.sha256 != ours.source_sha256:
            raise ReplacedError(self.about, str(raw.path))
        now = self.standing()
        if now is None or now == since:
            return
        try:
            theirs = ParquetFile(self.path("cleaned")).known_lineage
        except (TaxiPlatformError, OSError, pa.ArrowInvalid):
            return  # nobody's month: to be replaced
        if (
            theirs is not None
            and theirs.source_sha256 == ours.source_sha256
            and theirs.edition_name != ours.edition_name
        ):
            raise ReplacedError(self.about, str(self.path("cleaned")))


def _taken(about: str, file: Named) -> FileState:
    """The state of a file that is what it was handed on as."""
    state = _state_of(file.path)
    if state is None or _name_at(file.path) != file.sha256 or _state_of(file.path) != state:
        raise ReplacedError(about, str(file.path))
    return state


def _require_still(about: str, file: Named, before: FileState) -> None:
    now = _state_of(file.path)
    # What was only touched, or got another link, is what it was.
    if now != before and not (now and now.is_file_of(before) and _name_at(file.path) == file.sha256):
        raise ReplacedError(about, str(file.path))


def _is(file: ParquetFile, place: Path) -> bool:
    state = _state_of(place)
    return state is not None and state.size == file.bytes and _name_at(place) == file.sha256


def _name_at(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except FileNotFoundError:
        return None


def _state_of(path: Path) -> FileState | None:
    try:
        return FileState.of(path)
    except FileNotFoundError:
        return None
