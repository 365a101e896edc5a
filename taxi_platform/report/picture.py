"""The picture of a mart on the page of its materialization: where its trips are, by the last column of its grain."""

from __future__ import annotations

import base64

import altair as alt
import pandas as pd
import vl_convert

from taxi_platform.core.catalog.model import SOURCE_MONTH
from taxi_platform.core.month import Month
from taxi_platform.core.warehouse import Warehouse
from taxi_platform.marts import Mart
from taxi_platform.marts.query import summed_query

#: Bars that people tell apart.
_MOST_BARS = 24
_TRIPS = "trips"


def picture_of(mart: Mart, store: Warehouse, month: Month) -> str:
    """Bars of a month's trips as Markdown, an SVG image in it; a word where there are none.

    Args:
        mart: The mart.
        store: Where it is.
        month: Of what it is worked out for, the month that is shown.
    """
    by = [it for it in mart.grain if it != SOURCE_MONTH][-1]
    columns = {"dataset": "dataset", "bar": by, _TRIPS: _TRIPS}
    asked = store.ask(summed_query(mart, _TRIPS, by, store, month), f"{mart.name} {month}")
    rows = pd.DataFrame({name: [it[column] for it in asked] for name, column in columns.items()})
    if rows.empty:
        return "There are no trips."
    rows[_TRIPS] = pd.to_numeric(rows[_TRIPS]).astype("int64")
    codes = mart.column(by).codes
    rows["bar"] = [f"{it} {codes[it]}" if it in codes else _told(it) for it in rows["bar"]]
    longest = rows.groupby("bar")[_TRIPS].sum().nlargest(_MOST_BARS).index
    shown = rows[rows["bar"].isin(longest)]
    left_out = rows["bar"].nunique() - len(longest)
    title = f"Trips by {by.replace('_', ' ')}, {month}" + (
        f"; {left_out:,} with fewer are left out" if left_out else ""
    )
    order = sorted(longest, key=lambda it: (0, int(it), "") if it.isdigit() else (1, 0, it)) if by == "hour" else "-x"
    chart = (
        alt.Chart(shown, title=title)
        .mark_bar()
        .encode(
            x=alt.X(f"sum({_TRIPS}):Q", title="Trips"),
            y=alt.Y("bar:N", title=None, sort=order),
            color=alt.Color("dataset:N", title="Dataset"),
        )
        .properties(width=420)
    )
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _told(value: object) -> str:
    """A value as people read it; pandas makes 3.0 of a 3 that stands beside a null."""
    if pd.isna(value):  # pyright: ignore[reportCallIssue, reportArgumentType]
        return "none"
    return str(int(value)) if isinstance(value, float) else str(value)
