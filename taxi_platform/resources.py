"""What assets and IO managers share: the workspace, the source, the lake and the warehouse, thin shells over `core`.

Google's clients are made by dagster-gcp, which is imported only where one is used. A field that was set in the
environment is shown in the UI by its variable's name, never by its value.
"""

import logging
from base64 import b64encode
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg
import pyarrow as pa

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import LakeError, NotHeldError, TaxiPlatformError
from taxi_platform.core.files import work_folder
from taxi_platform.core.lake import Lake, open_lake
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile
from taxi_platform.core.source import RetryPolicy, Source, open_source
from taxi_platform.core.warehouse import Warehouse, open_warehouse
from taxi_platform.settings import Settings

if TYPE_CHECKING:
    from google.cloud import bigquery, storage


class WorkspaceResource(dg.ConfigurableResource):
    """The data folder, for work in progress."""

    data_dir: str

    def kept(self, layer: str, dataset: str, month: Month) -> ParquetFile | None:
        """A layer's file of a month, if it is here; one that is damaged or not the platform's counts as gone."""
        file = ParquetFile(Path(self.data_dir) / layer / dataset / f"{month}.parquet")
        try:
            _ = file.lineage
        except (TaxiPlatformError, OSError, pa.ArrowInvalid):
            return None  # whoever asks only compares with it: neither its own month nor later ones may stop at it
        return file

    def lineages_before(self, dataset: str, month: Month) -> list[Lineage]:
        """Where the cleaned months of the year before `month` came from, as far as they are here."""
        files = (self.kept("cleaned", dataset, earlier) for earlier in month.year_before)
        return [file.lineage for file in files if file is not None]

    def folder_for(self, dataset: str, name: str) -> AbstractContextManager[Path]:
        """A private folder, gone when its block ends, on the file system the dataset's files are kept on."""
        return work_folder(Path(self.data_dir) / "cleaned" / dataset, name)


class SourceResource(dg.ConfigurableResource):
    """Where months come from; `TAXI_SOURCE` says what `location` accepts."""

    location: str
    raw_dir: str
    sample_rows: int

    def open(self, catalog: Catalog, retry: RetryPolicy | None = None) -> Source:
        """The source, asked as patiently as `retry` says."""
        return open_source(self.location.strip(), Path(self.raw_dir), catalog, self.sample_rows, retry)


class LakeResource(dg.ConfigurableResource):
    """The data lake; `TAXI_LAKE_URL` says what `url` accepts."""

    url: str
    cache_dir: str
    gcp_credentials: str = ""

    def open(self) -> Lake:
        """The lake."""
        return open_lake(self.url.strip(), Path(self.cache_dir), DagsterGcp(self.gcp_credentials.strip()))

    def held(self, contract: TripContract, month: Month) -> ParquetFile | None:
        """The object a month has now; None if there is none, or one that is no whole Parquet file.

        Raises:
            LakeError: The lake cannot be asked.
        """
        try:
            file = self.open().get(contract, month)
            _ = file.known_lineage
        except NotHeldError:
            return None
        except LakeError:
            raise
        except (TaxiPlatformError, pa.ArrowInvalid):
            return None  # whoever asks only compares with it, and is about to replace it
        return file


class WarehouseResource(dg.ConfigurableResource):
    """The warehouse; `TAXI_WAREHOUSE_URL` says what `url` accepts."""

    url: str
    gcp_credentials: str = ""

    def open(self, catalog: Catalog, run: str = "") -> Warehouse:
        """The warehouse, as used by a run."""
        return open_warehouse(self.url.strip(), catalog.zones, DagsterGcp(self.gcp_credentials.strip()), run)


class AlertsResource(dg.ConfigurableResource):
    """Who is told when something fails or warns; `TAXI_ALERT_URLS` says what `urls` accepts."""

    urls: str
    ui_url: str

    @property
    def services(self) -> list[str]:
        """Their URLs, which hold passwords."""
        return self.urls.split()

    def send(
        self, place: int, title: str, text: str, severity: Literal["info", "success", "warning", "failure"]
    ) -> bool:
        """Tell one of the services.

        Args:
            place: Which of `services`.
            title: A few words.
            text: What there is to know.
            severity: How grave it is, in Apprise's words.

        Returns:
            Whether it took it.
        """
        import apprise

        service = apprise.Apprise()
        log = logging.getLogger("apprise")
        was, log.disabled = log.disabled, True  # it repeats the tokens of a URL it cannot read
        try:
            return service.add(self.services[place]) and bool(
                service.notify(
                    title=title,
                    body=text,
                    body_format=apprise.NotifyFormat.TEXT,
                    notify_type=apprise.NotifyType(severity),
                )
            )
        finally:
            log.disabled = was


@dataclass(frozen=True)
class DagsterGcp:
    """Google's clients as dagster-gcp makes them.

    Attributes:
        credentials: A service account's key, as JSON or in base64; without it, what Google's libraries find by
            themselves is used.
    """

    credentials: str = field(repr=False)

    def storage(self) -> "storage.Client":
        """See `GoogleClients.storage`."""
        from dagster_gcp import GCSResource

        with self._credentials():
            return GCSResource().get_client()

    def bigquery(self, project: str) -> "bigquery.Client":
        """See `GoogleClients.bigquery`."""
        from dagster_gcp import BigQueryResource

        with self._credentials(), BigQueryResource(project=project).get_client() as client:
            return client

    @contextmanager
    def _credentials(self) -> Generator[None, None, None]:
        """The key in a private file for as long as it takes to make a client, which has it from then on."""
        if not self.credentials:
            yield
            return
        from dagster_gcp.bigquery.utils import setup_gcp_creds  # dagster-gcp has it for BigQuery only
        from google.auth.exceptions import DefaultCredentialsError

        try:
            with setup_gcp_creds(self._key):
                yield
        except (DefaultCredentialsError, AttributeError, TypeError, ValueError):
            raise DefaultCredentialsError("TAXI_GCP_CREDENTIALS is not a key that Google's library can use") from None

    @property
    def _key(self) -> str:
        is_json = self.credentials.startswith("{")
        return b64encode(self.credentials.encode()).decode() if is_json else self.credentials


def build_resources(settings: Settings) -> dict[str, dg.ConfigurableResource]:
    """The resources by the keys that assets and IO managers ask for them under."""

    def shown(variable: str, value: str) -> str:
        return dg.EnvVar(variable) if variable in settings.from_environment else value

    if settings.lake_url.startswith("gs://") or settings.warehouse_url.startswith("bigquery://"):
        # Now, and not when a client is made: google.cloud.bigquery keeps the stack it was first imported on, with all
        # that a run or a load has on it.
        import dagster_gcp  # noqa: F401
    credentials = shown("TAXI_GCP_CREDENTIALS", settings.gcp_credentials)
    return {
        "workspace": WorkspaceResource(data_dir=str(settings.data_dir)),
        "source": SourceResource(
            location=shown("TAXI_SOURCE", settings.source),
            raw_dir=str(settings.data_dir / "raw"),
            sample_rows=settings.sample_rows,
        ),
        "lake": LakeResource(
            url=shown("TAXI_LAKE_URL", settings.lake_url),
            cache_dir=str(settings.data_dir / ".lake"),
            gcp_credentials=credentials,
        ),
        "warehouse": WarehouseResource(
            url=shown("TAXI_WAREHOUSE_URL", settings.warehouse_url), gcp_credentials=credentials
        ),
        "alerts": AlertsResource(urls=shown("TAXI_ALERT_URLS", " ".join(settings.alert_urls)), ui_url=settings.ui_url),
    }
