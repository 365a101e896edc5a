"""Files in a folder on this machine, or on a share it has mounted."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core.source.errors import SourceError
from taxi_platform.core.source.files import Publication


@dataclass(frozen=True)
class FolderOrigin:
    """Probes and copies paths below one folder."""

    root: Path

    def probe(self, url: str, about: str) -> Publication | None:
        """The file's size and time of change; None where there is no such file.

        Raises:
            SourceError: The folder itself is not there.
        """
        if not self.root.is_dir():
            raise SourceError(
                "the source folder does not exist",
                about=about,
                where=str(self.root),
                fix="set TAXI_SOURCE to a folder that holds <dataset>_tripdata_YYYY-MM.csv.gz, .csv or .parquet",
            )
        path = Path(url)
        if not path.is_file():
            return None
        status = path.stat()
        return Publication(url=url, bytes=status.st_size, last_modified=str(status.st_mtime_ns))

    def download(
        self, url: str, part: Path, known: Publication | None, about: str, log: logging.Logger
    ) -> Publication | None:
        """Copy the file to `part`; the same answers as `HttpOrigin.download` gives.

        Raises:
            SourceError: The folder is not there, or the file may not be read.
        """
        found = self.probe(url, about)
        if found is None or (known is not None and known.is_same_version_as(found)):
            return found and known
        try:
            shutil.copyfile(url, part)
        except PermissionError as error:
            raise SourceError(
                "the file may not be read", about=about, where=url, fix="check its permissions"
            ) from error
        return found
