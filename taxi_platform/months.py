"""Months as Dagster's partitions."""

import dagster as dg

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month


def partitions_of(contract: TripContract) -> dg.MonthlyPartitionsDefinition:
    """One partition per month since the dataset's first; the key is `YYYY-MM`."""
    return dg.MonthlyPartitionsDefinition(start_date=str(contract.first_month), fmt="%Y-%m")


def month_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, contract: TripContract) -> Month:
    """The month a run is for.

    Raises:
        TaxiPlatformError: The run was started without a month, or for one the dataset cannot have.
    """
    if not context.has_partition_key:
        raise TaxiPlatformError(
            "the run has no month",
            about=contract.table,
            cause="it was started without the tag dagster/partition",
            fix=f"dagster job execute -m taxi_platform.definitions -j {contract.table}_job "
            """--tags '{"dagster/partition": "2021-01"}'""",
        )
    return contract.month(context.partition_key)
