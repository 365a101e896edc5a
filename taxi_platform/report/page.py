"""Puts charts and tables into one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
import pandas as pd
import vl_convert
from markupsafe import Markup

from taxi_platform.core.zone_shapes import Geometry
from taxi_platform.report.charts import charts_of
from taxi_platform.report.figures import Figures
from taxi_platform.report.trust import Trust

#: Place on the page -> its heading, and what is worth knowing.
_SECTIONS = {
    "map": (
        "Where",
        "Choose a month and what is shown; point at a zone to read it, click it to follow it through all months.",
    ),
    "days": (
        "When",
        "Trips per day of each dataset. A cross marks a day without any, a triangle a month that was published again.",
    ),
    "hours": ("The week", "In which hours of which days trips begin."),
    "payments": ("How they are paid for", "Shares of each month. Cash tips are published nowhere."),
    "flows": ("From borough to borough", "Where trips begin and end."),
}


@dataclass(frozen=True)
class Download:
    """A file beside the page: a mart's month.

    Attributes:
        mart: Which.
        month: As YYYY-MM.
        path: Where, as the page says it.
    """

    mart: str
    month: str
    path: str


def page_of(
    figures: Figures,
    names: pd.DataFrame,
    shapes: Mapping[int, Geometry],
    trust: Sequence[Trust],
    *,
    made_at: str,
    shapes_are_plan: bool = False,
    downloads: Sequence[Download] = (),
) -> str:
    """The page.

    Args:
        figures: What the marts hold.
        names: Zone, name and borough.
        shapes: Zone -> GeoJSON.
        trust: What there is to know of each month.
        made_at: When that was so.
        shapes_are_plan: Whether the shapes are squares, and not those of the city.
        downloads: The marts' months that lie beside the page.
    """
    charts = charts_of(figures, names, shapes, {(it.dataset, it.month) for it in trust if it.editions > 1})
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((files("taxi_platform.report") / "page.html.j2").read_text(encoding="utf-8"))
    months = figures.months
    return template.render(
        made_at=made_at,
        sections=[(name, *_SECTIONS[name]) for name in _SECTIONS if name in charts],
        specs={name: _in_script(spec) for name, spec in charts.items()},
        vega=_vega() if charts else "",
        trust=trust,
        trips=int(months["trips"].sum()) if len(months) else 0,
        months=len(months),
        first=months["month"].min() if len(months) else "",
        last=months["month"].max() if len(months) else "",
        shapes_are_plan=shapes_are_plan,
        downloads=downloads,
        marts=sorted({it.mart for it in downloads}),
    )


def _in_script(value: Any) -> Markup:
    """JSON that ends no element of the page, whatever texts are in it."""
    text = json.dumps(value, separators=(",", ":"), default=str)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 (nothing in it begins a tag)


def _vega() -> Markup:
    """Vega, Vega-Lite and Vega-Embed, as their makers publish them."""
    text = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue] (its stub knows no default)
    return Markup(text.replace("</script", "<\\/script"))  # noqa: S704 (as above)
