"""What assets and IO managers share: the workspace, the source, the lake and the warehouse, thin shells over `core`.

Google's clients are made by dagster-gcp unless there is a key to make them with; either is imported only where one is
used. A field that was set in the environment is shown in the UI by its variable's name, never by its value.
"""

import logging
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg
import pyarrow as pa

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.editions import MonthFiles
from taxi_platform.core.errors import LakeError, NotHeldError, TaxiPlatformError
from taxi_platform.core.files import work_folder
from taxi_platform.core.google import GoogleClients, ServiceAccount
from taxi_platform.core.lake import Lake, open_lake
from taxi_platform.core.lake.layers import MonthLayers, lineages_in
from taxi_platform.core.lake.places import AzureAccount
from taxi_platform.core.month import Month
from taxi_platform.core.official.at_hand import OfficialFigures
from taxi_platform.core.official.bases import TABLE as BASES_REPORT
from taxi_platform.core.parquet import Lineage, ParquetFile
from taxi_platform.core.source import RetryPolicy, Source, open_source
from taxi_platform.core.warehouse import Warehouse, open_warehouse
from taxi_platform.core.warehouse.identity import store_of
from taxi_platform.core.zone_shapes import shapes_below
from taxi_platform.settings import Settings

if TYPE_CHECKING:
    from google.cloud import bigquery, storage


class WorkspaceResource(dg.ConfigurableResource):
    """The data folder, for work in progress."""

    data_dir: str

    def files(self, dataset: str, month: Month) -> MonthFiles:
        """A month's places."""
        return MonthFiles(Path(self.data_dir), dataset, month)

    @property
    def shapes(self) -> Path:
        """Where the shapes of the zones are, if anybody has fetched them."""
        return shapes_below(Path(self.data_dir))

    @property
    def official(self) -> OfficialFigures:
        """What TLC reports, as far as anybody has fetched it."""
        return OfficialFigures(Path(self.data_dir))

    def kept(self, layer: str, dataset: str, month: Month) -> ParquetFile | None:
        """A layer's file of a month, if it is here; one that is damaged or not the platform's counts as gone."""
        file = ParquetFile(self.files(dataset, month).path(layer))
        try:
            _ = file.lineage
        except (TaxiPlatformError, OSError, pa.ArrowInvalid):
            return None  # whoever asks only compares with it: neither its own month nor later ones may stop at it
        return file

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

    @property
    def is_of_tlc(self) -> bool:
        """Whether months come from where TLC, or the course's mirror of it, publishes them."""
        return self.location.strip() in ("web", "tlc", "mirror")

    def open_tlc(self, catalog: Catalog) -> Source:
        """TLC's own Parquet files, whatever else months are taken from."""
        return open_source("tlc", Path(self.raw_dir), catalog, self.sample_rows)


class LakeResource(dg.ConfigurableResource):
    """The data lake; `TAXI_LAKE_URL` says what `url` accepts."""

    url: str
    cache_dir: str
    gcp_credentials: str = ""
    azure_name: str = ""
    azure_key: str = ""
    azure_connection_string: str = ""

    def open(self) -> Lake:
        """The lake."""
        azure = AzureAccount(self.azure_name.strip(), self.azure_key.strip(), self.azure_connection_string.strip())
        return open_lake(self.url.strip(), Path(self.cache_dir), google_clients(self.gcp_credentials), azure)

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

    def layers(self, dataset: str, month: Month) -> MonthLayers:
        """What the lake keeps of a month beside its trips."""
        return MonthLayers(self.open(), dataset, month)

    def lineages_near(self, workspace: WorkspaceResource, dataset: str, month: Month) -> dict[Month, Lineage]:
        """Where the cleaned months of the years before and after `month` came from, as far as anybody has made them.

        Raises:
            LakeError: The lake cannot be asked for those that are not on this machine.
        """
        near = (*month.year_before, *month.year_after)
        files = {it: workspace.kept("cleaned", dataset, it) for it in near}
        here = {it: file.lineage for it, file in files.items() if file is not None}
        there = lineages_in(self.open(), dataset, {*near} - here.keys())
        return {it: found for it in near if (found := here.get(it) or there.get(it)) is not None}

    def files_beside(self, workspace: WorkspaceResource, contract: TripContract, month: Month) -> list[ParquetFile]:
        """The cleaned months before and after `month`, as far as anybody has made them.

        Raises:
            LakeError: The lake cannot be asked for those that are not on this machine.
        """
        beside = [it for it in (month.previous, month.next) if it >= contract.first_month]
        files = (workspace.kept("cleaned", contract.dataset, it) or self.held(contract, it) for it in beside)
        return [file for file in files if file is not None]


class WarehouseResource(dg.ConfigurableResource):
    """The warehouse; `TAXI_WAREHOUSE_URL` says what `url` accepts."""

    url: str
    gcp_credentials: str = ""

    @property
    def store(self) -> str:
        """The name by which records tell this store from others; it holds no secret."""
        return store_of(self.url)

    def open(self, catalog: Catalog, run: str = "") -> Warehouse:
        """The warehouse, as used by a run."""
        google, bases = google_clients(self.gcp_credentials), catalog.reports.get(BASES_REPORT)
        return open_warehouse(self.url.strip(), catalog.zones, google, run, bases)


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
        # It repeats the tokens of a URL it cannot read. For good, since others may be sending meanwhile.
        logging.getLogger("apprise").disabled = True
        return service.add(self.services[place]) and bool(
            service.notify(
                title=title,
                body=text,
                body_format=apprise.NotifyFormat.TEXT,
                notify_type=apprise.NotifyType(severity),
            )
        )


class DagsterGcp:
    """Google's clients as dagster-gcp makes them: with the credentials Google's libraries find by themselves."""

    def storage(self) -> "storage.Client":
        """See `GoogleClients.storage`."""
        from dagster_gcp import GCSResource

        return GCSResource().get_client()

    def bigquery(self, project: str) -> "bigquery.Client":
        """See `GoogleClients.bigquery`."""
        from dagster_gcp import BigQueryResource

        with BigQueryResource(project=project).get_client() as client:
            return client


def google_clients(key: str) -> GoogleClients:
    """Who makes Google's clients.

    Args:
        key: What `TAXI_GCP_CREDENTIALS` says. A key is not for dagster-gcp, which would hand it on by a file and a
            variable of the whole process.
    """
    return ServiceAccount(key.strip()) if key.strip() else DagsterGcp()


def lake_of(settings: Settings) -> LakeResource:
    """The lake, for who works without Dagster's resources."""
    return LakeResource(
        url=settings.lake_url,
        cache_dir=str(settings.data_dir / ".lake"),
        gcp_credentials=settings.gcp_credentials,
        azure_name=settings.azure_name,
        azure_key=settings.azure_key,
        azure_connection_string=settings.azure_connection_string,
    )


def build_resources(settings: Settings) -> dict[str, dg.ResourceDefinition]:
    """The resources by the keys that assets and IO managers ask for them under."""

    def shown(variable: str, value: str) -> str:
        return dg.EnvVar(variable) if variable in settings.from_environment else value

    if settings.lake_url.startswith("gs://") or settings.warehouse_url.startswith("bigquery://"):
        # Now, and not when a client is made: google.cloud.bigquery keeps the stack it was first imported on, with all
        # that a run or a load has on it.
        import dagster_gcp  # noqa: F401
    credentials = shown("TAXI_GCP_CREDENTIALS", settings.gcp_credentials)
    resources: dict[str, dg.ConfigurableResource] = {
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
            azure_name=shown("AZURE_STORAGE_ACCOUNT_NAME", settings.azure_name),
            azure_key=shown("AZURE_STORAGE_ACCOUNT_KEY", settings.azure_key),
            azure_connection_string=shown("AZURE_STORAGE_CONNECTION_STRING", settings.azure_connection_string),
        ),
        "warehouse": WarehouseResource(
            url=shown("TAXI_WAREHOUSE_URL", settings.warehouse_url), gcp_credentials=credentials
        ),
        "alerts": AlertsResource(urls=shown("TAXI_ALERT_URLS", " ".join(settings.alert_urls)), ui_url=settings.ui_url),
    }
    return {key: _settled(key, resource) for key, resource in resources.items()}


def _settled(key: str, resource: dg.ConfigurableResource) -> dg.ResourceDefinition:
    """A resource that is what the settings say, in every run.

    Dagster would have a run's config set any field, also to whatever variable it names (`{env: PGPASSWORD}`): who may
    launch runs could read the secrets of their processes, and send months elsewhere. Here it may say of a field only
    what the field is, which the UI goes on showing, and which is not listened to.

    Args:
        key: What the resource is asked for under.
        resource: The resource, with all its fields set.
    """
    inner = resource.get_resource_definition()
    given: dict[str, str | int | dict[str, str]] = inner.config_schema.default_value
    is_set = {name: str(value) if isinstance(value, int) else value for name, value in given.items()}

    def create(context: dg.InitResourceContext) -> object:
        return inner.resource_fn(context)  # pyright: ignore[reportCallIssue] (of those without a parameter it is none)

    create.__module__, create.__name__ = type(resource).__module__, type(resource).__name__  # its type, in the UI
    fields = {name: dg.Field(_only(f"{key}_{name}", value), default_value=value) for name, value in is_set.items()}
    schema = dg.Field(dg.Shape(fields), default_value=is_set)
    return dg.ResourceDefinition(create, inner.config_schema, inner.description).configured(lambda _: given, schema)


def _only(name: str, value: str | dict[str, str]) -> dg.Enum | dg.Selector:
    """The type of config that is one value, or one variable's name."""
    if isinstance(value, dict):
        return dg.Selector({"env": dg.Enum(name, [dg.EnumValue(value["env"])])})
    return dg.Enum(name, [dg.EnumValue(value)])
