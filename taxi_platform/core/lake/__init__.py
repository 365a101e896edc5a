"""The data lake: a month's cleaned Parquet as an object other programs can read. A new kind of lake is a new module."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from taxi_platform.core.catalog.model import SOURCE_MONTH, TripContract
from taxi_platform.core.errors import LakeError
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile


class Lake(Protocol):
    """Keeps one object per dataset and month; an object is replaced whole or not at all."""

    def put(self, contract: TripContract, month: Month, file: ParquetFile) -> str:
        """Store a month, replacing the one that is there.

        Returns:
            The object's URI.

        Raises:
            LakeError: It could not be stored whole; what was there before still is.
        """
        ...

    def get(self, contract: TripContract, month: Month) -> ParquetFile:
        """The month's object, as a file this process can read.

        Raises:
            LakeError: The lake does not hold the month.
        """
        ...


def open_lake(url: str) -> Lake:
    """The lake that `TAXI_LAKE_URL` names.

    Raises:
        LakeError: No lake of this kind is built in.
    """
    from taxi_platform.core.lake.folder import FolderLake
    from taxi_platform.core.urls import local_path, mask_url

    folder = local_path(url) or (None if "://" in url else Path(url))
    if folder is None:
        raise LakeError(
            "no lake of this kind is built in yet", where=mask_url(url), fix="set TAXI_LAKE_URL to a folder"
        )
    return FolderLake(folder.absolute())


def object_key(contract: TripContract, month: Month) -> str:
    """Where a month is below the lake's root: Hive layout, which external tables and dataset readers understand."""
    return f"{contract.table}/{SOURCE_MONTH}={month}/{contract.dataset}_tripdata_{month}.parquet"
