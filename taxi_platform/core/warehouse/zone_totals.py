"""What a month comes to in its table and in the view that names its zones, by a query every warehouse understands."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from taxi_platform.core.catalog.model import SOURCE_MONTH, ReferenceContract, TripContract
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse.zone_view import Quote

#: Relations add doubles in different orders: the sums may differ in the last digits of what was added up.
_RELATIVE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Totals:
    """What a month comes to in one relation.

    Attributes:
        rows: How many rows.
        money: The sum of the money column, USD; 0 where there is none.
        turnover: The sum of its values without their signs: how exact the sum can be is a matter of that.
    """

    rows: int
    money: float
    turnover: float

    def agree(self, other: Totals) -> bool:
        """Whether both are those of the same rows, as far as sums of doubles can tell."""
        most = max(self.turnover, other.turnover)
        same_money = self.money == other.money or abs(self.money - other.money) <= _RELATIVE_TOLERANCE * most
        return self.rows == other.rows and same_money


@dataclass(frozen=True)
class ZoneTotals:
    """A month in its table and in the view that names its zones, both of one moment.

    Attributes:
        table: In the table.
        view: In the view.
        zones: Rows in the zone lookup; 0 until it was loaded.
        repeated: How many of those have an id that another one has, too. The view passes them over.
    """

    table: Totals
    view: Totals
    zones: int
    repeated: int


def money_column(contract: TripContract, there: Container[str]) -> str | None:
    """The column whose sum is compared: the total, else the dataset's first in USD; None where it has none.

    Args:
        contract: The dataset's contract.
        there: The columns that the view has: a contract may have gained some since it was made.
    """
    money = ["total_amount", *(column.name for column in contract.columns if column.unit == "USD")]
    known = {column.name for column in contract.columns}
    return next((name for name in money if name in known and name in there), None)


def select_totals(
    contract: TripContract,
    zones: ReferenceContract,
    month: Month,
    there: Container[str],
    *,
    table: str,
    view: str,
    lookup: str,
    quote: Quote = str,
) -> str:
    """The query that `read_totals` reads.

    The month is a literal, so that a warehouse that keeps months apart sees which one it has to read.

    Args:
        contract: The trips' contract.
        zones: The zone lookup's contract.
        month: The month.
        there: The columns of the view.
        table: The table of trips, as the warehouse's SQL takes it.
        view: The view, likewise.
        lookup: The zone lookup's table, likewise.
        quote: How the warehouse's SQL takes a name.
    """
    money = money_column(contract, there)
    sums = f"coalesce(sum({quote(money)}), 0), coalesce(sum(abs({quote(money)})), 0)" if money else "0, 0"
    condition = f"WHERE {SOURCE_MONTH} = DATE '{month.first_day}'"
    key = quote(zones.key)
    return f"""
        SELECT 'table', count(*), {sums} FROM {table} {condition}
        UNION ALL SELECT 'view', count(*), {sums} FROM {view} {condition}
        UNION ALL SELECT 'zones', count(*), count({key}) - count(DISTINCT {key}), 0 FROM {lookup}
    """


def read_totals(rows: Iterable[tuple[str, int, float, float]]) -> ZoneTotals:
    """What a query of `select_totals` gave."""
    found = {name: figures for name, *figures in rows}
    zones, repeated, _ = found["zones"]
    return ZoneTotals(_totals(*found["table"]), _totals(*found["view"]), int(zones), int(repeated))


def _totals(rows: float, money: float, turnover: float) -> Totals:
    return Totals(int(rows), float(money), float(turnover))
