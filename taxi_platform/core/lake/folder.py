"""A folder as a lake."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.files import copy_hashed, publish, work_folder
from taxi_platform.core.lake import month_of_key, not_as_cleaned, not_held, object_key
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile


@dataclass(frozen=True)
class FolderLake:
    """Objects are files; they appear by a rename, so readers see the old month or the new one."""

    root: Path

    def put(self, contract: TripContract, month: Month, file: ParquetFile) -> str:
        """See `Lake.put`."""
        target = self.root / object_key(contract, month)
        with work_folder(target.parent, target.name) as work:
            # Not named .parquet: DuckDB's ** looks into hidden folders too, and must not find half a month in one.
            copy = work / "copy"
            if copy_hashed(file.path, copy) != file.sha256:
                raise not_as_cleaned(contract, month, str(target))
            publish(copy, target)
        return str(target)

    def get(self, contract: TripContract, month: Month) -> ParquetFile:
        """See `Lake.get`."""
        path = Path(self.uri(contract, month))
        return ParquetFile(path, version=_version_of(path))

    def uri(self, contract: TripContract, month: Month) -> str:
        """See `Lake.uri`."""
        path = self.root / object_key(contract, month)
        if not path.exists():
            raise not_held(contract, month, str(path))
        return str(path)

    def versions(self, contract: TripContract) -> dict[Month, str]:
        """See `Lake.versions`."""
        found: dict[Month, str] = {}
        for path in (self.root / contract.table).glob("*/*.parquet"):
            month = month_of_key(contract, path.relative_to(self.root).as_posix())
            if month is not None and path.is_file():
                with suppress(FileNotFoundError):
                    found[month] = _version_of(path)
        return found


def _version_of(path: Path) -> str:
    status = path.stat()
    return f"{status.st_mtime_ns}-{status.st_size}"
