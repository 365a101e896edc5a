"""What a month comes to in the view that names its zones, by a query that every warehouse understands."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from taxi_platform.core.catalog.model import SOURCE_MONTH, ReferenceContract, TripContract
from taxi_platform.core.findings import Finding
from taxi_platform.core.measures import LARGEST, Measures
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse.zone_view import Quote

#: Stores add doubles in different orders: the sums may differ in the last digits of what was added up.
_RELATIVE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class ZoneTotals:
    """What a month comes to in the view that names its zones.

    Attributes:
        rows: How many rows.
        money_column: The column whose sum is given; None where the dataset has no money.
        money: That sum, USD.
        turnover: The sum of its values without their signs: how exact the sum can be is a matter of that.
        zones: Rows in the zone lookup; 0 until it was loaded.
        repeated: How many of those have an id that another one has, too. The view passes them over.
    """

    rows: int
    money_column: str | None
    money: float
    turnover: float
    zones: int
    repeated: int

    def money_in(self, table: Measures) -> float:
        """The sum of the same column in the table."""
        _, total = table.columns.get(self.money_column or "", (0, 0.0))
        return float(total)

    def agree(self, table: Measures) -> bool:
        """Whether the table has these rows, as far as sums of doubles can tell."""
        if self.turnover >= LARGEST:  # values that the table's measures only count may be among them
            return self.rows == table.rows
        apart = abs(self.money - self.money_in(table))
        return self.rows == table.rows and apart <= _RELATIVE_TOLERANCE * self.turnover


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
    zones: ReferenceContract, month: Month, money: str | None, *, view: str, lookup: str, quote: Quote = str
) -> str:
    """The query that `read_totals` reads.

    The table itself is not asked again: a check of it has measured it, and in PostgreSQL that takes as long. The month
    is a literal, so that a warehouse that keeps months apart sees which one it has to read.

    Args:
        zones: The zone lookup's contract.
        month: The month.
        money: The view's `money_column`.
        view: The view, as the warehouse's SQL takes it.
        lookup: The zone lookup's table, likewise.
        quote: How the warehouse's SQL takes a name.
    """
    sums = f"coalesce(sum({quote(money)}), 0), coalesce(sum(abs({quote(money)})), 0)" if money else "0, 0"
    key = quote(zones.key)
    return f"""
        SELECT 'trips', count(*), {sums} FROM {view} WHERE {SOURCE_MONTH} = DATE '{month.first_day}'
        UNION ALL SELECT 'zones', count(*), count({key}) - count(DISTINCT {key}), 0 FROM {lookup}
    """


def read_totals(money: str | None, rows: Iterable[tuple[str, int, float, float]]) -> ZoneTotals:
    """What a query of `select_totals` gave."""
    found = {name: figures for name, *figures in rows}
    (trips, amount, turnover), (zones, repeated, _) = found["trips"], found["zones"]
    return ZoneTotals(int(trips), money, float(amount), float(turnover), int(zones), int(repeated))


def zone_view_matches_table(contract: TripContract, in_view: ZoneTotals | None, in_table: Measures) -> Finding:
    """The view that names the zones has the rows of its table, each once, and their money; None without a view."""
    if in_view is None and not contract.zone_columns:
        return Finding(holds=True, says="no view to compare: this dataset does not say where its trips were")
    if in_view is None:
        says = "there is no view with zones beside the table, so nothing was compared: load the month again"
        return Finding(holds=False, says=says)
    holds, money = in_view.agree(in_table), in_view.money_in(in_table)
    sums = f", {in_view.money_column} {in_view.money:,.2f} and {money:,.2f} USD" if in_view.money_column else ""
    says = f"{in_view.rows:,} rows in the view and {in_table.rows:,} in the table{sums}"
    if not holds:
        says += "; the table is right: load the month again, which makes the view anew"
    if not in_view.zones:
        says += "; no zones were loaded yet, so the view names none"
    elif in_view.repeated:
        says += f"; {in_view.repeated:,} rows of the zone lookup repeat another's id: load the zones again"
    return Finding(
        holds=holds,
        says=says,
        figures={
            "rows in the view": in_view.rows,
            "rows in the table": in_table.rows,
            "USD in the view": in_view.money,
            "USD in the table": money,
            "zones in the lookup": in_view.zones,
            "zones whose id repeats": in_view.repeated,
        },
    )
