"""A folder as a lake."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.files import copy_hashed, link_or_copy, publish, sha256_of, work_folder
from taxi_platform.core.lake import changed_meanwhile, month_of_key, not_as_cleaned, not_held, object_key
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile


@dataclass(frozen=True)
class FolderLake:
    """Objects are files; they appear by a rename, so readers see the old month or the new one."""

    root: Path

    def put(self, contract: TripContract, month: Month, file: ParquetFile) -> str:
        """See `Lake.put`."""
        target = self.root / object_key(contract, month)
        if target.exists() and target.samefile(file.path):  # taken from here by a machine that has not cleaned it
            return str(target)
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

    def put_object(self, name: str, path: Path, sha256: str) -> str:
        """See `Lake.put_object`; on one file system the two share their bytes."""
        target = self.root / name
        with suppress(FileNotFoundError):
            if sha256_of(target) == sha256:
                return str(target)
        with work_folder(target.parent, target.name) as work:
            copy = work / "copy"
            link_or_copy(path, copy)
            if sha256_of(copy) != sha256:
                raise changed_meanwhile(path, str(target))
            publish(copy, target)
        return str(target)

    def get_object(self, name: str) -> Path | None:
        """See `Lake.get_object`."""
        path = self.root / name
        return path if path.is_file() else None

    def list_objects(self, below: str) -> dict[str, str]:
        """See `Lake.list_objects`."""
        found: dict[str, str] = {}
        for parent, folders, names in os.walk(self.root / below):
            folders[:] = [it for it in folders if not it.startswith(".")]  # work in progress
            for path in (Path(parent, it) for it in names if not it.startswith(".")):
                with suppress(FileNotFoundError):
                    found[path.relative_to(self.root).as_posix()] = _version_of(path)
        return found

    def remove_object(self, name: str) -> None:
        """See `Lake.remove_object`; a folder that holds nothing more goes with it."""
        (self.root / name).unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            (self.root / name).parent.rmdir()


def _version_of(path: Path) -> str:
    status = path.stat()
    return f"{status.st_mtime_ns}-{status.st_size}"
