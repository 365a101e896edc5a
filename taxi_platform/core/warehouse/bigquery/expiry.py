"""Nothing in the warehouse may expire: BigQuery would delete months, old ones as soon as they are loaded.

A partition of 2009 whose table keeps partitions for sixty days is older than that when it is loaded
(https://cloud.google.com/bigquery/docs/managing-partitioned-tables#partition-expiration). A new table takes over what
its dataset says (https://cloud.google.com/bigquery/docs/updating-datasets#partition-expiration), and in a project
without billing all expire (https://cloud.google.com/bigquery/docs/sandbox#limits). No value in a request means "never"
(0 is none that `expirationMs` may have, https://cloud.google.com/bigquery/docs/reference/rest/v2/tables), so what the
dataset says is looked at before a table is made, and what became of the table after.
"""

# Google's library is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from google.cloud import bigquery

from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.warehouse.bigquery.dataset import Dataset, identifier

_DAY = 24 * 60 * 60 * 1000  # milliseconds
_SANDBOX = "in a project without billing that cannot be lifted: link a billing account to it first"


def require_kept_in(dataset: Dataset, found: bigquery.Dataset) -> None:
    """Refuse to make anything in a dataset whose new tables expire.

    Raises:
        WarehouseError: They do.
    """
    defaults = {
        "default_partition_expiration": ("partitions", found.default_partition_expiration_ms),
        "default_table_expiration": ("tables and views", found.default_table_expiration_ms),
    }
    expiring = {flag: (things, kept) for flag, (things, kept) in defaults.items() if kept}
    if expiring:
        flags = " ".join(f"--{flag} 0" for flag in expiring)
        raise WarehouseError(
            "the dataset lets what is made in it expire: months would be deleted; nothing was made",
            where=str(dataset),
            cause=" and ".join(f"its new {things} are kept for {_days(kept)}" for things, kept in expiring.values()),
            fix=f"bq update {flags} {dataset.project}:{dataset.name} ({_SANDBOX}), then run the month again",
        )


def require_kept(dataset: Dataset, table: bigquery.Table) -> None:
    """Refuse to write into a table that expires, or whose partitions do.

    Raises:
        WarehouseError: It does.
    """
    name = f"{dataset.project}:{dataset.name}.{table.table_id}"
    kind = "VIEW" if table.table_type == "VIEW" else "TABLE"
    alter = f"ALTER {kind} {dataset.sql(table.table_id)} SET OPTIONS"
    parts = table.time_partitioning
    if parts is not None and parts.expiration_ms:
        cause = f"its partitions are kept for {_days(parts.expiration_ms)}, counted from the month they are of"
        fix = f"bq update --time_partitioning_expiration 0 {name}, or {alter} (partition_expiration_days = NULL)"
    elif table.expires is not None:
        cause = f"it is deleted at {table.expires:%Y-%m-%d %H:%M} UTC"
        fix = f"bq update --expiration 0 {name}, or {alter} (expiration_timestamp = NULL)"
    else:
        return
    raise WarehouseError(
        f"{identifier(table.table_id)} expires: months would be deleted; nothing was loaded",
        where=str(dataset),
        cause=cause,
        fix=f"{fix} ({_SANDBOX}), then run the month again",
    )


def _days(milliseconds: int | None) -> str:
    return f"{(milliseconds or 0) / _DAY:.3g} days"
