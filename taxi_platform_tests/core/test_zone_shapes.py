"""Shapes of zones: what NYC Open Data publishes is read, whatever is in it, or refused with a word."""

import json
from typing import Any

import pytest

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.zone_shapes import COARSE, plan_of_squares, read_shapes, write_shapes

SQUARE = [
    [-74.00001, 40.70001],
    [-74.00002, 40.70002],
    [-73.9, 40.7],
    [-73.9, 40.8],
    [-74.0, 40.8],
    [-74.00001, 40.70001],
]


def feature(zone: object, kind: str = "Polygon", coordinates: Any = None, name: str = "locationid") -> dict[str, Any]:
    shape = {"type": kind, "coordinates": coordinates or [SQUARE]}
    return {"type": "Feature", "properties": {name: zone, "zone": "somewhere"}, "geometry": shape}


def collection(*features: dict[str, Any]) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_a_zone_of_several_parts_is_one_shape_whichever_way_it_is_told() -> None:
    text = collection(
        feature("56"), feature(56, name="LocationID"), feature("103", "MultiPolygon", [[SQUARE], [SQUARE]])
    )
    shapes = read_shapes(text, "here")
    assert {zone: len(it["coordinates"]) for zone, it in shapes.items()} == {56: 2, 103: 2}
    assert {it["type"] for it in shapes.values()} == {"MultiPolygon"}


def test_points_to_be_drawn_have_ten_metres_precision_and_none_comes_twice_in_succession() -> None:
    ((ring,),) = read_shapes(collection(feature(1)), "here", COARSE)[1]["coordinates"]
    assert ring == [[-74.0, 40.7], [-73.9, 40.7], [-73.9, 40.8], [-74.0, 40.8], [-74.0, 40.7]]


def test_what_was_written_is_what_is_read() -> None:
    shapes = plan_of_squares([(1, "EWR"), (2, "Queens"), (3, "Queens")])
    assert read_shapes(write_shapes(shapes), "here") == shapes
    assert len({json.dumps(it) for it in shapes.values()}) == 3, "none on another"


@pytest.mark.parametrize(
    "text",
    [
        "<html>gone</html>",
        "[]",
        '{"features": []}',
        collection(feature("x")),
        collection({"type": "Feature", "properties": {}, "geometry": None}),
        collection(feature(1, coordinates=[[[935996.8, 191376.7], [1, 2], [3, 4], [935996.8, 191376.7]]])),
    ],
    ids=["a web page", "a list", "no zones", "a word for a number", "no id", "in feet"],
)
def test_what_is_no_shapes_of_zones_is_refused_with_the_cause_and_what_to_do(text: str) -> None:
    with pytest.raises(TaxiPlatformError) as raised:
        read_shapes(text, "https://example.com/shapes")
    assert "taxi_zone_shapes" in str(raised.value)
    assert "https://example.com/shapes" in str(raised.value)
    assert "Fix: take the GeoJSON" in str(raised.value)
