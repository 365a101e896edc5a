"""The charts, by Altair: each is a Vega-Lite specification with what it shows in it.

Colours are those of a palette that people who see few colours can tell apart (Okabe and Ito).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import altair as alt
import pandas as pd

from taxi_platform.core.zone_shapes import Geometry
from taxi_platform.report.figures import Figures

_DATASETS = {"yellow": "#E69F00", "green": "#009E73", "fhv": "#0072B2", "fhvhv": "#CC79A7"}
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_PAYMENTS = {0: "flex fare", 1: "card", 2: "cash", 3: "no charge", 4: "dispute", 5: "unknown", 6: "voided"}
#: What is marked among the days.
_ODD = ("no trip", "published again")
_WIDTH = 640
#: What the map can show: column -> title.
_MEASURES = {"trips": "Trips", "revenue": "Revenue, USD", "distance": "Distance, miles"}

Spec = dict[str, Any]


def charts_of(
    figures: Figures, names: pd.DataFrame, shapes: Mapping[int, Geometry], republished: Collection[tuple[str, str]] = ()
) -> dict[str, Spec]:
    """Every chart that there is something to show in, by the name of its place on the page.

    Args:
        figures: What the marts hold.
        names: Zone, name and borough.
        shapes: Zone -> GeoJSON.
        republished: Dataset and month (YYYY-MM) of each month that TLC has replaced.
    """
    made: dict[str, Spec] = {}
    if len(figures.zones):
        made["map"] = _map(figures.zones, names, shapes)
    if len(figures.days):
        made["days"] = _days(figures.days, _marks(figures.days, republished))
    if len(figures.hours):
        made["hours"] = _hours(figures.hours)
    if len(figures.payments):
        made["payments"] = _payments(figures.payments)
    if len(figures.flows):
        made["flows"] = _flows(figures.flows)
    return made


def _map(zones: pd.DataFrame, names: pd.DataFrame, shapes: Mapping[int, Geometry]) -> Spec:
    """Zones of a month, coloured by a measure; a click on some shows them through all months."""
    rows = zones.merge(names, on="zone", how="left")
    months = sorted(rows["month"].unique())
    month = alt.param(name="month", value=months[-1], bind=alt.binding_select(options=months, name="Month "))
    labels = [*_MEASURES.values()]
    measure = alt.param(
        name="measure", value="trips", bind=alt.binding_select(options=[*_MEASURES], labels=labels, name="Measure ")
    )
    chosen = alt.selection_point(name="chosen", fields=["zone"], empty=True)
    features = [{"type": "Feature", "id": zone, "geometry": it, "properties": {}} for zone, it in shapes.items()]
    geometry = alt.LookupData(alt.InlineData(features), key="id", fields=["type", "geometry", "properties"])
    base = alt.Chart(rows).transform_calculate(shown="datum[measure]")
    drawn = (
        base.transform_filter("datum.month == month")
        .transform_lookup(lookup="zone", from_=geometry)
        .transform_filter("isValid(datum.geometry)")
        .mark_geoshape(stroke="#888", strokeWidth=0.3)
        .encode(
            color=alt.Color("shown:Q", title="", scale=alt.Scale(scheme="cividis", type="symlog")),
            opacity=alt.condition(chosen, alt.value(1.0), alt.value(0.25)),
            tooltip=[
                alt.Tooltip("name:N", title="Zone"),
                alt.Tooltip("borough:N", title="Borough"),
                alt.Tooltip("trips:Q", title="Trips", format=",d"),
                alt.Tooltip("revenue:Q", title="Revenue, USD", format=",.0f"),
                alt.Tooltip("distance:Q", title="Distance, miles", format=",.0f"),
            ],
        )
        .project(type="mercator")
        .properties(width=_WIDTH, height=460)
        .add_params(chosen)
    )
    through = (
        base.transform_filter(chosen)
        .mark_bar()
        .encode(
            x=alt.X("month:O", title="Month", axis=alt.Axis(labelOverlap=True)),
            y=alt.Y("sum(shown):Q", title="The chosen zones"),
            tooltip=[alt.Tooltip("month:O", title="Month"), alt.Tooltip("sum(shown):Q", title="Sum", format=",.0f")],
        )
        .properties(width=_WIDTH, height=140)
    )
    return _spec(
        alt.vconcat(drawn, through).add_params(month, measure), "A map of the taxi zones, coloured by month and measure"
    )


def _days(days: pd.DataFrame, marks: pd.DataFrame) -> Spec:
    """Trips per day; below the lines, what is odd: a day without any trip, a month that was published again."""
    lines = (
        alt.Chart(days)
        .mark_line(strokeWidth=1.2)
        .encode(
            x=alt.X("day:T", title=None),
            y=alt.Y("trips:Q", title="Trips per day"),
            color=_dataset(),
            tooltip=["dataset:N", alt.Tooltip("day:T", title="Day"), alt.Tooltip("trips:Q", format=",d")],
        )
    )
    odd = (
        alt.Chart(marks)
        .mark_point(filled=True, size=70)
        .encode(
            x="day:T",
            y=alt.value(250),
            color=_dataset(),
            shape=alt.Shape("what:N", title="Marked", scale=alt.Scale(domain=[*_ODD], range=["cross", "triangle-up"])),
            tooltip=["dataset:N", alt.Tooltip("day:T", title="Day"), "what:N"],
        )
    )
    return _spec(
        alt.layer(*([lines, odd] if len(marks) else [lines])).properties(width=_WIDTH, height=260),
        "Trips per day, a line for each dataset; days without trips and months that were published again are marked",
    )


def _marks(days: pd.DataFrame, republished: Collection[tuple[str, str]]) -> pd.DataFrame:
    """Dataset, day and what is odd about it."""
    hole, again = _ODD
    found = [(dataset, f"{month}-01", again) for dataset, month in sorted(republished)]
    for dataset, rows in days.groupby("dataset"):
        there = set(rows["day"])
        for month in sorted({day[:7] for day in there}):
            all_days = pd.date_range(f"{month}-01", periods=pd.Period(month).days_in_month).strftime("%Y-%m-%d")
            found += [(str(dataset), day, hole) for day in all_days if day not in there]
    return pd.DataFrame(found, columns=["dataset", "day", "what"])


def _hours(hours: pd.DataFrame) -> Spec:
    rows = hours.assign(day=hours["weekday"].map(dict(enumerate(_WEEKDAYS))))
    chart = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=alt.X("hour:O", title="Hour of the day"),
            y=alt.Y("day:O", title=None, sort=_WEEKDAYS),
            color=alt.Color("trips:Q", title="Trips", scale=alt.Scale(scheme="cividis")),
            tooltip=["dataset:N", alt.Tooltip("day:O", title="Day"), "hour:O", alt.Tooltip("trips:Q", format=",d")],
        )
        .properties(width=_WIDTH, height=150)
        .facet(row=alt.Row("dataset:N", title=None))
        .resolve_scale(color="independent")
    )
    return _spec(chart, "Trips by hour of the day and day of the week, for each dataset")


def _payments(payments: pd.DataFrame) -> Spec:
    ways = payments["payment_type"].map(lambda it: _PAYMENTS.get(int(it), "other") if pd.notna(it) else "not said")
    chart = (
        alt.Chart(payments.assign(way=ways).drop(columns="payment_type"))
        .mark_bar()
        .encode(
            x=alt.X("month:O", title=None, axis=alt.Axis(labelOverlap=True)),
            y=alt.Y("sum(trips):Q", title="Share of trips", stack="normalize", axis=alt.Axis(format="%")),
            color=alt.Color("way:N", title="Paid by"),
            tooltip=["dataset:N", "month:O", "way:N", alt.Tooltip("sum(trips):Q", title="Trips", format=",d")],
        )
        .properties(width=_WIDTH, height=160)
        .facet(row=alt.Row("dataset:N", title=None))
    )
    return _spec(chart, "How trips are paid for, as shares of each month, for yellow and green taxis")


def _flows(flows: pd.DataFrame) -> Spec:
    chart = (
        alt.Chart(flows)
        .mark_rect()
        .encode(
            x=alt.X("dropoff_borough:N", title="To"),
            y=alt.Y("pickup_borough:N", title="From"),
            color=alt.Color("trips:Q", title="Trips", scale=alt.Scale(type="symlog", scheme="cividis")),
            tooltip=["pickup_borough:N", "dropoff_borough:N", alt.Tooltip("trips:Q", format=",d")],
        )
        .properties(width=_WIDTH * 0.7, height=260)
    )
    return _spec(chart, "Trips from borough to borough")


def _dataset() -> alt.Color:
    return alt.Color("dataset:N", title="Dataset", scale=alt.Scale(domain=[*_DATASETS], range=[*_DATASETS.values()]))


def _spec(chart: Any, description: str) -> Spec:
    return chart.properties(description=description).to_dict()
