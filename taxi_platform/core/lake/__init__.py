"""The data lake: a month's cleaned Parquet as an object other programs can read. A new kind of lake is a new module."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from taxi_platform.core.catalog.model import SOURCE_MONTH, TripContract
from taxi_platform.core.errors import LakeError, NotHeldError, TaxiPlatformError
from taxi_platform.core.google import ApplicationDefault, GoogleClients
from taxi_platform.core.lake.places import ACCEPTED, AzureAccount, BucketPlace, bucket_place
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.urls import lake_folder, mask_url

_NOBODY = AzureAccount()


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
            NotHeldError: The lake does not hold the month.
            LakeError: It cannot be reached, or the object did not arrive whole.
        """
        ...

    def uri(self, contract: TripContract, month: Month) -> str:
        """Where the month's object is, for programs that read it there.

        Raises:
            LakeError: The lake does not hold the month.
        """
        ...

    def versions(self, contract: TripContract) -> dict[Month, str]:
        """The months of a dataset that are there, each with a name for its version that changes with every put.

        Raises:
            LakeError: The lake cannot be reached.
        """
        ...

    def put_object(self, name: str, path: Path, sha256: str) -> str:
        """Store a file under a name below the lake's root, replacing the one that is there.

        Args:
            name: Such as `_raw/green/2020-11/…`; names that begin with an underscore are no tables to other programs.
            path: The file.
            sha256: What its bytes are, in hex.

        Returns:
            The object's URI.

        Raises:
            LakeError: It could not be stored whole, or is another file by now.
        """
        ...

    def get_object(self, name: str) -> Path | None:
        """An object as a file this process can read, and must not change; None where the lake holds none of the name.

        Raises:
            LakeError: The lake cannot be reached, or the object did not arrive whole.
        """
        ...

    def list_objects(self, below: str) -> dict[str, str]:
        """The names that begin with `below` (which ends in a slash), each with a name for its version.

        Raises:
            LakeError: The lake cannot be reached.
        """
        ...

    def remove_object(self, name: str) -> None:
        """Remove an object, if there is one.

        Raises:
            LakeError: The lake cannot be reached, or refuses.
        """
        ...


def open_lake(url: str, cache: Path, google: GoogleClients | None = None, azure: AzureAccount = _NOBODY) -> Lake:
    """The lake that `TAXI_LAKE_URL` names.

    Args:
        url: What the setting says.
        cache: A folder for objects that have to be brought here to be read.
        google: Makes Google's clients; with the credentials their libraries find by default.
        azure: The storage account of a lake in Azure.

    Raises:
        LakeError: No lake of this kind is built in.
    """
    if place := bucket_place(url):
        return _open_bucket(place, cache, google or ApplicationDefault(), azure)

    from taxi_platform.core.lake.folder import FolderLake

    folder = lake_folder(url)
    if folder is None:
        raise LakeError(
            "no lake of this kind is built in",
            where=mask_url(url),
            fix=f"set TAXI_LAKE_URL to a folder, {ACCEPTED}",
        )
    return FolderLake(folder.absolute())


def _open_bucket(place: BucketPlace, cache: Path, google: GoogleClients, azure: AzureAccount) -> Lake:
    """The lake in a bucket; the client of its service is imported now, and by nobody else.

    Raises:
        LakeError: The service's client is not installed.
    """
    where = (place.bucket, place.prefix, cache)
    try:
        if place.scheme == "s3":
            from taxi_platform.core.lake.s3 import S3Lake

            return S3Lake(*where, place.endpoint, place.region)
        if place.scheme == "az":
            from taxi_platform.core.lake.azure import AzureLake

            return AzureLake(*where, azure)
    except ModuleNotFoundError as error:
        extra = {"s3": "s3", "az": "azure"}[place.scheme]
        raise LakeError(
            f"a lake in {place.scheme}:// needs packages that are not installed",
            where=f"{place.scheme}://{place.bucket}",
            cause=str(error),
            fix=f"pip install 'taxi-platform[{extra}]'",
        ) from None
    from taxi_platform.core.lake.gcs import GCSLake

    return GCSLake(*where, google)


def not_held(contract: TripContract, month: Month, where: str) -> NotHeldError:
    """The error for a month the lake does not hold."""
    return NotHeldError(
        "the lake does not hold this month",
        about=f"{contract.dataset} {month}",
        where=where,
        fix="dagster job execute -m taxi_platform.definitions "
        f"""-j {contract.dataset}_to_lake_job --tags '{{"dagster/partition": "{month}"}}'""",
    )


def not_as_cleaned(contract: TripContract, month: Month, where: str) -> LakeError:
    """The error for bytes that are not those of the cleaned file as the run saw it."""
    return LakeError(
        "the copy is not equal to the cleaned file",
        about=f"{contract.dataset} {month}",
        where=where,
        cause="the cleaned file was replaced while it was copied, or the disk is failing",
        fix="run the month again",
    )


def changed_meanwhile(path: Path, where: str) -> LakeError:
    """The error for a file that is another than the one that was to be stored."""
    return LakeError(
        "the copy is not equal to the file it was made of",
        about=path.name,
        where=where,
        cause="the file was replaced while it was copied, or the disk is failing",
        fix="run the month again",
    )


def month_of_key(contract: TripContract, key: str) -> Month | None:
    """The month an object below the lake's root is for; None if it is none the dataset can have."""
    stem = key.rpartition("_")[2].removesuffix(".parquet")
    try:
        month = contract.month(stem)
    except TaxiPlatformError:
        return None
    return month if object_key(contract, month) == key else None


def object_key(contract: TripContract, month: Month) -> str:
    """Where a month is below the lake's root: Hive layout, which external tables and dataset readers understand."""
    return f"{contract.table}/{SOURCE_MONTH}={month}/{contract.dataset}_tripdata_{month}.parquet"
