"""Months as Dagster's partitions."""

import dagster as dg

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month


def partitions_of(contract: TripContract) -> dg.MonthlyPartitionsDefinition:
    """One partition per month since the dataset's first; the key is `YYYY-MM`."""
    return dg.MonthlyPartitionsDefinition(start_date=str(contract.first_month), fmt="%Y-%m")


def month_of(context: dg.AssetExecutionContext, contract: TripContract) -> Month:
    """The month a run is for.

    Raises:
        TaxiPlatformError: The run was started without a month, or for one before the dataset began or after today.
    """
    example = f"""dagster job execute -m taxi_platform.definitions -j {contract.table}_job --tags '{{"dagster/partition": """
    if not context.has_partition_key:
        raise TaxiPlatformError(
            "the run has no month",
            about=contract.table,
            cause="it was started without the tag dagster/partition",
            fix=f"""{example}"2021-01"}}'""",
        )
    month = Month.parse(context.partition_key)
    if not partitions_of(contract).has_partition_key(str(month)):
        raise TaxiPlatformError(
            f"{month} is outside the dataset's months",
            about=contract.table,
            cause=f"its months are {contract.first_month} to the last whole one",
            fix=f"""{example}"{contract.first_month}"}}'""",
        )
    return month
