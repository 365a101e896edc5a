"""What the page shows: a few thousand sums of the marts, however many trips there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import sqlglot
from sqlglot import exp

from taxi_platform.core.catalog import Catalog
from taxi_platform.core.warehouse import Warehouse
from taxi_platform.marts import DIALECT, Mart, load_marts

#: Name -> what is asked of the marts, in `DIALECT`; the names of tables are those of the marts.
_QUESTIONS: Mapping[str, str] = {
    "zones": """
        SELECT strftime(source_month, '%Y-%m') AS month, pickup_location_id AS zone, sum(trips) AS trips,
               sum(revenue) AS revenue, sum(distance) AS distance
        FROM daily_zone_trips WHERE pickup_location_id IS NOT NULL GROUP BY source_month, pickup_location_id""",
    "days": """
        SELECT dataset, strftime(pickup_date, '%Y-%m-%d') AS day, sum(trips) AS trips
        FROM daily_zone_trips WHERE date_trunc('month', pickup_date) = source_month GROUP BY dataset, pickup_date""",
    "hours": "SELECT dataset, weekday, hour, sum(trips) AS trips FROM hourly_trips GROUP BY dataset, weekday, hour",
    "payments": """
        SELECT dataset, strftime(source_month, '%Y-%m') AS month, payment_type, sum(trips) AS trips
        FROM payment_mix GROUP BY dataset, source_month, payment_type""",
    "flows": """
        SELECT pickup_borough, dropoff_borough, sum(trips) AS trips
        FROM borough_flows GROUP BY pickup_borough, dropoff_borough""",
    "months": """
        SELECT dataset, strftime(source_month, '%Y-%m') AS month, trips, days, outside_month, without_pickup_zone,
               without_dropoff_zone, revenue
        FROM month_quality""",
}
#: Columns that count; the others are names, or money and miles.
_COUNTS = ("trips", "weekday", "hour", "days", "outside_month", "without_pickup_zone", "without_dropoff_zone")


@dataclass(frozen=True)
class Figures:
    """What was asked, and answered: each a frame whose columns are those of its question above.

    Attributes:
        zones: Per month and zone.
        days: Per dataset and day of its own month.
        hours: Per dataset, weekday (0 is Monday) and hour.
        payments: Per dataset, month and way of payment.
        flows: Per pair of boroughs.
        months: Per dataset and month.
    """

    zones: pd.DataFrame
    days: pd.DataFrame
    hours: pd.DataFrame
    payments: pd.DataFrame
    flows: pd.DataFrame
    months: pd.DataFrame


def figures_of(warehouse: Warehouse) -> Figures:
    """Ask a warehouse for everything that the page shows.

    Raises:
        WarehouseError: It cannot be asked.
    """
    marts = {it.name: it for it in load_marts()}
    return Figures(**{name: _asked(warehouse, marts, name, query) for name, query in _QUESTIONS.items()})


def zone_names(warehouse: Warehouse, catalog: Catalog, figures: Figures) -> pd.DataFrame:
    """Zone, name and borough of each zone; of those that the lookup does not know, or was never loaded for, the id."""
    lookup, known = catalog.zones, list[dict[str, object]]()
    if warehouse.columns_of(lookup):
        query = f"SELECT location_id AS zone, zone AS name, borough FROM {warehouse.table_name(lookup)}"
        known = warehouse.ask(query, lookup.table)
    named = {row["zone"] for row in known}
    others = [it for it in sorted(figures.zones["zone"].unique()) if it not in named]
    known += [{"zone": int(it), "name": f"zone {it}", "borough": "Unknown"} for it in others]
    return pd.DataFrame(known, columns=["zone", "name", "borough"])


def _asked(warehouse: Warehouse, marts: Mapping[str, Mart], name: str, question: str) -> pd.DataFrame:
    tree = sqlglot.parse_one(question, dialect=DIALECT, into=exp.Select)
    columns = tree.named_selects
    for table in list(tree.find_all(exp.Table)):
        mart = marts[table.name]
        if not warehouse.columns_of(mart):  # nobody has worked it out yet
            return pd.DataFrame(columns=columns)
        table.replace(exp.to_table(warehouse.table_name(mart), dialect=warehouse.dialect))
    query = tree.sql(dialect=warehouse.dialect, identify=True)
    found = pd.DataFrame(warehouse.ask(query, f"the page's {name}"), columns=columns)
    for column in columns:
        if column in _COUNTS:
            found[column] = pd.to_numeric(found[column]).astype("int64")
        elif column in ("revenue", "distance"):
            found[column] = pd.to_numeric(found[column]).astype("float64")
    return found.sort_values(columns, na_position="last").reset_index(drop=True)
