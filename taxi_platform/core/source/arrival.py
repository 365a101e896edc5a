"""Bytes on their way to the disk, whoever sends them: as many as were announced, as there is room for, and in time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core.os_errors import naming
from taxi_platform.core.room import require_room, room_of
from taxi_platform.core.source.errors import CorruptError
from taxi_platform.core.source.progress import Progress
from taxi_platform.core.source.retry import Deadline

#: Bytes between two looks at the disk: others write to it, too, and not everybody says how much will come.
_BETWEEN_LOOKS = 4 << 20


def record_of(part: Path) -> Path:
    """Where it is recorded of which version of the file a part is."""
    return part.with_name(f"{part.name}.json")


def discard(part: Path) -> None:
    """Leave neither a part's bytes nor its record: they are of no use, or were in the way."""
    part.unlink(missing_ok=True)
    record_of(part).unlink(missing_ok=True)


@dataclass(frozen=True)
class Arrival:
    """A file that is about to arrive.

    Attributes:
        part: Where its bytes go.
        expected: How many they are in all; None where nobody says.
        about: What it is to people, such as `green 2020-11`.
        where: Where it comes from, without secrets.
        deadline: When it has to be here.
        log: For progress.
    """

    part: Path
    expected: int | None
    about: str
    where: str
    deadline: Deadline
    log: logging.Logger

    def find_room(self, here: int = 0) -> None:
        """Hold what is to come against the disk, before a byte of it is written.

        Args:
            here: Bytes of it that are on the disk already.

        Raises:
            DiskFullError: The disk cannot take it and keep its reserve.
        """
        self._require_room(here, 1)

    def write(self, chunks: Iterable[bytes], here: int = 0) -> None:
        """Write what comes.

        Args:
            chunks: It, piece by piece.
            here: Bytes that are in the part already, and are kept.

        Raises:
            DiskFullError: The disk came to its reserve.
            CorruptError: More came than was announced.
            OverdueError: The time is up. What came stays.
            OSError: The disk does not take it; the error names the part.
        """
        progress = Progress(self.log, self.about, self.expected, here)
        arrived, unseen = here, 0
        between_looks = min(_BETWEEN_LOOKS, max(1, room_of(self.part.parent).reserve))
        with naming(self.part), self.part.open("ab" if here else "wb") as file:
            for chunk in chunks:
                if self.expected is not None and arrived + len(chunk) > self.expected:
                    raise self._too_much(arrived + len(chunk))
                if unseen >= between_looks:
                    self._require_room(arrived, len(chunk))
                    unseen = 0
                file.write(chunk)
                arrived, unseen = arrived + len(chunk), unseen + len(chunk)
                progress.add(len(chunk))
                if arrived != self.expected:  # a file that is whole at the last moment is in time
                    self.deadline.check(self.about, self.where, arrived)

    def _require_room(self, here: int, next_bytes: int) -> None:
        if self.expected is None:
            needed, what = next_bytes, "more of a file whose size the source does not say, another piece"
        else:
            needed, what = self.expected - here, "the published file" if not here else "the rest of the published file,"
        require_room(self.part.parent, needed, about=self.about, where=str(self.part.parent), what=what)

    def _too_much(self, arrived: int) -> CorruptError:
        return CorruptError(
            f"more came than was announced (expected {self.expected:,} bytes, got {arrived:,} and more)",
            about=self.about,
            where=self.where,
            cause="the file was changed while it was fetched, or the server sends another one",
            fix="run the month again; if it stays so, the source's copy, or a proxy on the way to it, is broken",
        )
