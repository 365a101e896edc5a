"""The table of contents: everything Dagster knows of the platform is put together here."""

from itertools import chain

import dagster as dg

from taxi_platform.assets.cleaned import build_cleaned_assets
from taxi_platform.assets.lake import build_lake_asset
from taxi_platform.assets.marts import build_mart_asset
from taxi_platform.assets.published import build_published_asset
from taxi_platform.assets.raw import build_raw_asset
from taxi_platform.assets.reference import (
    build_counts_asset,
    build_report_asset,
    build_shapes_asset,
    build_zones_asset,
)
from taxi_platform.assets.report import build_page_asset
from taxi_platform.assets.warehouse import build_warehouse_asset
from taxi_platform.assets.zone_views import build_zone_view_asset
from taxi_platform.automation.alerts import build_alert_sensor
from taxi_platform.automation.comparing import build_comparing_sensor
from taxi_platform.automation.executor import recording_executor
from taxi_platform.automation.housekeeping import build_housekeeping_sensor
from taxi_platform.automation.jobs import build_jobs
from taxi_platform.automation.lateness import build_lateness_check
from taxi_platform.automation.lateness import key_of as lateness_check_of
from taxi_platform.automation.leaving import spare_the_garbage
from taxi_platform.automation.marts import build_marts_sensor
from taxi_platform.automation.schedules import (
    build_monthly_schedule,
    build_reports_schedule,
    build_verifying_schedule,
    build_zones_schedule,
)
from taxi_platform.automation.sensors import build_arrival_sensor, build_publication_sensor
from taxi_platform.checks import build_checks
from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.io_managers import build_io_managers
from taxi_platform.judged_again import keys_of
from taxi_platform.marts import load_marts
from taxi_platform.resources import build_resources
from taxi_platform.settings import Settings


def build_definitions(settings: Settings, catalog: Catalog | None = None) -> dg.Definitions:
    """Everything, for some settings.

    Args:
        settings: Where months come from and go to.
        catalog: The contracts; the project's own by default.
    """
    catalog = catalog or load_catalog()
    trips, marts = catalog.trips.values(), load_marts()
    sensing, scheduling = _statuses(settings.automation)
    return dg.Definitions(
        assets=[
            *(build_published_asset(contract) for contract in trips),
            *(build_raw_asset(contract, catalog) for contract in trips),
            *(build_cleaned_assets(contract) for contract in trips),
            *(build_lake_asset(contract) for contract in trips),
            *(build_warehouse_asset(contract, catalog) for contract in trips),
            *(build_zone_view_asset(contract, catalog) for contract in trips if contract.zone_columns),
            build_zones_asset(catalog),
            build_shapes_asset(catalog),
            *(build_report_asset(contract, catalog) for contract in catalog.reports.values()),
            build_counts_asset(catalog),
            *(build_mart_asset(mart, catalog) for mart in marts),
            build_page_asset(marts, catalog),
        ],
        asset_checks=[
            *(check for contract in trips for check in build_checks(contract, catalog)),
            *(build_lateness_check(contract) for contract in trips),
        ],
        jobs=build_jobs(catalog),
        sensors=[
            *(build_publication_sensor(contract, catalog, sensing) for contract in trips),
            *(build_arrival_sensor(contract, sensing) for contract in trips),
            build_comparing_sensor(catalog, sensing),
            build_marts_sensor(catalog, marts, sensing),
            build_housekeeping_sensor(settings.data_dir / ".lake", settings.keep_days),
            build_alert_sensor(
                dg.DefaultSensorStatus.RUNNING if settings.alert_urls else sensing,
                map(lateness_check_of, trips),
                again=chain.from_iterable(map(keys_of, trips)),
            ),
        ],
        schedules=[
            *(build_monthly_schedule(contract, catalog, scheduling) for contract in trips),
            *(build_verifying_schedule(contract, scheduling) for contract in trips),
            build_zones_schedule(scheduling),
            build_reports_schedule(scheduling),
        ],
        resources={
            **build_resources(settings),
            **build_io_managers(settings.data_dir, catalog, settings.keep_editions),
        },
        executor=recording_executor,
    )


def _statuses(automation: bool) -> tuple[dg.DefaultSensorStatus, dg.DefaultScheduleStatus]:
    if automation:
        return dg.DefaultSensorStatus.RUNNING, dg.DefaultScheduleStatus.RUNNING
    return dg.DefaultSensorStatus.STOPPED, dg.DefaultScheduleStatus.STOPPED


defs = build_definitions(Settings.from_env())
spare_the_garbage()
