"""A BigQuery dataset as `TAXI_WAREHOUSE_URL` names it: its client, where it is, and what Google's errors mean there."""

# Google's library is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from google.api_core.retry import Retry
from google.cloud import bigquery

from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.google import GoogleClients, explained, made
from taxi_platform.core.urls import mask_url

_ACCEPTED = (
    "set TAXI_WAREHOUSE_URL to bigquery://project/dataset, if need be with ?location=EU (where the dataset is) and "
    "maximum_bytes_billed=100000000000 (what one query may read), joined by &"
)
ROLES = "BigQuery Data Editor on the dataset and BigQuery Job User on the project"
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", re.ASCII)
_NAME = re.compile(r"\w{1,1024}", re.ASCII)
_OPTIONS = {
    "location": re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII),
    "maximum_bytes_billed": re.compile(r"[1-9][0-9]{0,17}", re.ASCII),
}
#: A year of the largest table is some 50 GB. What wants to read more than this has forgotten to say which months, and
#: is refused before it costs anything; what is let through costs less than a dollar.
MAXIMUM_BYTES_BILLED = 100 * 10**9


@dataclass(frozen=True)
class Dataset:
    """A dataset, and how it is spoken to.

    Attributes:
        project: The project that holds the dataset and pays for its jobs.
        name: The dataset.
        google: Makes the client.
        given_location: Where the dataset is, if it need not be asked.
        maximum_bytes_billed: A query that would read more is refused.
        patience: Seconds to wait for a job to end.
        persistence: Seconds to go on asking while Google gives no answer, or says to come back later.
    """

    project: str
    name: str
    google: GoogleClients
    given_location: str = ""
    maximum_bytes_billed: int = MAXIMUM_BYTES_BILLED
    patience: float = 3600.0
    persistence: float = 120.0

    @classmethod
    def of_url(cls, url: str, google: GoogleClients) -> Self:
        """The dataset of a URL.

        Raises:
            WarehouseError: It is not written as it should be, or has an option nobody knows.
        """
        parts = urlsplit(url)
        project, name = parts.netloc, parts.path.strip("/")
        options = parse_qsl(parts.query, keep_blank_values=True)
        wrong = [
            *([] if _PROJECT.fullmatch(project) else ["its project is not the id of one"]),
            *([] if _NAME.fullmatch(name) else ["its dataset is not the name of one"]),
            *(f"nobody knows its option {key}" for key, _ in options if key not in _OPTIONS),
            *(f"its {key} makes no sense" for key, value in options if not _fits(key, value)),
            *(["it has a #"] if parts.fragment else []),
        ]
        if wrong:
            raise WarehouseError(
                "TAXI_WAREHOUSE_URL does not name a BigQuery dataset",
                where=mask_url(url),
                cause=", ".join(wrong),
                fix=_ACCEPTED,
            )
        given = dict(options)
        return cls(
            project,
            name,
            google,
            given_location=given.get("location", ""),
            maximum_bytes_billed=int(given.get("maximum_bytes_billed", MAXIMUM_BYTES_BILLED)),
        )

    def __str__(self) -> str:
        return f"bigquery://{self.project}/{self.name}"

    @cached_property
    def client(self) -> bigquery.Client:
        """The client; made when it is first needed, which is when credentials are looked for."""
        return made(lambda: self.google.bigquery(self.project))

    @cached_property
    def location(self) -> str:
        """Where the dataset is, which every job has to say."""
        return self.given_location or self.found_location

    @cached_property
    def found_location(self) -> str:
        """Where Google says that the dataset is; fails if there is none."""
        return str(self.look().location)

    def look(self) -> bigquery.Dataset:
        """The dataset as it is now.

        Raises:
            WarehouseError: It is not where `TAXI_WAREHOUSE_URL` says.
            NotFound: There is none.
        """
        found = self.client.get_dataset(self._reference, retry=self.retry, timeout=self.timeout)
        if self.given_location and self.given_location.casefold() != str(found.location).casefold():
            raise WarehouseError(
                f"the dataset is in {found.location}, and not in {self.given_location}",
                where=str(self),
                cause="a job runs where its dataset is, and finds none elsewhere",
                fix=f"write location={found.location} in TAXI_WAREHOUSE_URL, or leave it out",
            )
        return found

    @property
    def _reference(self) -> bigquery.DatasetReference:
        return bigquery.DatasetReference(self.project, self.name)

    def table(self, name: str) -> bigquery.TableReference:
        """A table, or (`table$YYYYMM`) a month of one, as the client takes it."""
        return self._reference.table(name)

    def sql(self, table: str) -> str:
        """A table as SQL takes it."""
        return identifier(f"{self.project}.{self.name}.{table}")

    @property
    def retry(self) -> Retry:
        """How long a request is repeated; the client's own patience of ten minutes would hide an outage from people."""
        return bigquery.DEFAULT_RETRY.with_timeout(self.persistence)

    @property
    def timeout(self) -> float:
        """Seconds after which a request without an answer counts as lost; the client by itself would wait for ever."""
        return 60.0

    @contextmanager
    def explained(self, what: str) -> Generator[None, None, None]:
        """Turn what Google's libraries raise in the block into a `WarehouseError`."""
        with explained(
            WarehouseError,
            what,
            where=str(self),
            # A dataset that is elsewhere is not found either (https://cloud.google.com/bigquery/docs/locations).
            absent=f"make the dataset with: bq mk --dataset {self.project}:{self.name}, or correct TAXI_WAREHOUSE_URL"
            + (
                f", or its location= (bq show --format=prettyjson {self.project}:{self.name} says where it is)"
                if self.given_location
                else ""
            ),
            roles=ROLES,
        ):
            yield


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever characters it has."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _fits(key: str, value: str) -> bool:
    return key not in _OPTIONS or _OPTIONS[key].fullmatch(value) is not None
