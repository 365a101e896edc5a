"""Files in a folder on this machine, or on a share it has mounted."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core.os_errors import meaning_of
from taxi_platform.core.source.arrival import Arrival
from taxi_platform.core.source.errors import SourceError
from taxi_platform.core.source.files import Publication
from taxi_platform.core.source.retry import DEADLINE_SECONDS, Deadline

_CHUNK = 1 << 20


@dataclass(frozen=True)
class FolderOrigin:
    """Probes and copies paths below one folder."""

    root: Path

    def probe(self, url: str, about: str) -> Publication | None:
        """The file's size and time of change; None where there is no such file.

        Raises:
            SourceError: The folder itself is not there, or the folder or the file may not be read.
        """
        with _source_told(self.root, about):
            is_there = self.root.is_dir()
        if not is_there:
            raise SourceError(
                "the source folder does not exist",
                about=about,
                where=str(self.root),
                fix="set TAXI_SOURCE to a folder that holds <dataset>_tripdata_YYYY-MM.csv.gz, .csv or .parquet",
            )
        path = Path(url)
        with _source_told(path, about):
            if not path.is_file():
                return None
            with path.open("rb"):  # what is announced can be fetched: nobody starts a run for a file nobody may read
                status = path.stat()
        return Publication(url=url, bytes=status.st_size, last_modified=str(status.st_mtime_ns))

    def download(
        self,
        url: str,
        part: Path,
        known: Publication | None,
        about: str,
        log: logging.Logger,
        deadline: Deadline | None = None,
    ) -> Publication | None:
        """Copy the file to `part`; the same answers as `HttpOrigin.download` gives.

        Raises:
            SourceError: The folder is not there, or the file may not be read.
            DiskFullError: The disk of `part` has no room for it.
        """
        found = self.probe(url, about)
        if found is None or (known is not None and known.is_same_version_as(found)):
            return found and known
        arrival = Arrival(part, found.bytes, about, url, deadline or Deadline(DEADLINE_SECONDS), log)
        arrival.find_room()
        arrival.write(_chunks_of(Path(url), about))
        return found


def _chunks_of(path: Path, about: str) -> Iterator[bytes]:
    with _source_told(path, about):
        file = path.open("rb")
    with file:
        while True:
            with _source_told(path, about):  # and not what the consumer does with a chunk: that is about the disk
                chunk = file.read(_CHUNK)
            if not chunk:
                return
            yield chunk


@contextmanager
def _source_told(path: Path, about: str) -> Generator[None, None, None]:
    """Whatever the operating system refuses in the block, it is the source that it refuses, not the data folder."""
    try:
        yield
    except OSError as error:
        cause, may_pass_later = meaning_of(error)
        allow = "let the user that runs this read it and search the folders above it (see `ls -ld`)"
        mount = "see that its disk or share is mounted and can be read"
        raise SourceError(
            f"the source may not be read ({error.strerror})"
            if isinstance(error, PermissionError)
            else f"the source cannot be read ({error.strerror or type(error).__name__})",
            about=about,
            where=str(error.filename or path),
            cause=cause,
            fix=f"{allow if isinstance(error, PermissionError) else mount}, or point TAXI_SOURCE at another place",
            may_pass_later=may_pass_later,
        ) from error
