"""Where the taxi zones are: the shapes NYC Open Data publishes, small enough for a page, or a plan of squares.

A shape file is GeoJSON in degrees (WGS 84). Ids repeat in it (56 twice, 103 three times): zones of several parts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from taxi_platform.core.errors import TaxiPlatformError

#: https://data.cityofnewyork.us/Transportation/NYC-Taxi-Zones/8meu-9t5y
PUBLISHED = "https://data.cityofnewyork.us/resource/8meu-9t5y.geojson?$limit=5000"
FILE = "taxi_zones.geojson"
#: Digits after the point of a degree: ten centimetres, to say which zone a place is in; ten metres, to draw it.
FINE, COARSE = 6, 4
_ID = "locationid"

Geometry = dict[str, Any]


def shapes_below(data_dir: Path) -> Path:
    """Where the shapes are kept in a data folder."""
    return data_dir / "reference" / FILE


def read_shapes(text: str | bytes, where: str, digits: int = FINE) -> dict[int, Geometry]:
    """The shape of each zone.

    Args:
        text: GeoJSON.
        where: Where it is from, for the error.
        digits: After the point of a degree.

    Returns:
        Zone -> a GeoJSON MultiPolygon.

    Raises:
        TaxiPlatformError: It is no GeoJSON of zones, or its coordinates are no degrees.
    """
    try:
        parts: dict[int, list[Any]] = {}
        for feature in json.loads(text)["features"]:
            zone = int({name.casefold(): value for name, value in feature["properties"].items()}[_ID])
            shape = feature["geometry"]
            polygons = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
            parts.setdefault(zone, []).extend([[_ring(ring, digits) for ring in polygon] for polygon in polygons])
        _require(parts, "it has no zones")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise TaxiPlatformError(
            "the file is not what the shapes of zones are published as",
            about="taxi_zone_shapes",
            where=where,
            cause=f"{type(error).__name__}: {error}",
            fix=f"take the GeoJSON of {PUBLISHED}: it names each zone by {_ID}, and is in degrees",
        ) from error
    return {zone: {"type": "MultiPolygon", "coordinates": parts[zone]} for zone in sorted(parts)}


def write_shapes(shapes: Mapping[int, Geometry]) -> str:
    """GeoJSON that `read_shapes` reads."""
    features = [
        {"type": "Feature", "properties": {_ID: zone}, "geometry": shape} for zone, shape in sorted(shapes.items())
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))


def plan_of_squares(zones: Iterable[tuple[int, str]]) -> dict[int, Geometry]:
    """A square for each zone, those of a borough together: for zones whose shapes nobody has brought here.

    Args:
        zones: Id and borough of each.
    """
    boroughs: dict[str, list[int]] = {}
    for zone, borough in zones:
        boroughs.setdefault(borough, []).append(zone)
    squares: dict[int, Geometry] = {}
    left = 0
    for _, members in sorted(boroughs.items()):
        width = math.ceil(math.sqrt(len(members)))
        for place, zone in enumerate(sorted(members)):
            x, y = -74.2 + 0.01 * (left + place % width), 40.9 - 0.01 * (place // width)
            # Clockwise, which to who draws a globe is the small side of the ring.
            ring = [[x, y], [x, y + 0.009], [x + 0.009, y + 0.009], [x + 0.009, y], [x, y]]
            squares[zone] = {"type": "MultiPolygon", "coordinates": [[[_rounded(it, COARSE) for it in ring]]]}
        left += width + 1
    return squares


def _ring(points: Sequence[Sequence[float]], digits: int) -> list[list[float]]:
    """A ring of rounded points, none twice in succession, closed."""
    ring: list[list[float]] = []
    for point in points:
        _require(-180 <= point[0] <= 180 and -90 <= point[1] <= 90, f"{point[0]}, {point[1]} are no degrees")
        if not ring or ring[-1] != _rounded(point, digits):
            ring.append(_rounded(point, digits))
    return ring if len(ring) > 3 else [_rounded(it, digits) for it in points]


def _require(holds: object, told: str) -> None:
    if not holds:
        raise ValueError(told)


def _rounded(point: Sequence[float], digits: int) -> list[float]:
    return [round(float(point[0]), digits), round(float(point[1]), digits)]
