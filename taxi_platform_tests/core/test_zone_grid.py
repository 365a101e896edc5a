"""The grid says of every place what shapely says of it, on borders, corners and lines of the grid too."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from taxi_platform.core.zone_grid import CELL, OUTSIDE, ZoneGrid
from taxi_platform.core.zone_shapes import Geometry, read_shapes
from taxi_platform_tests.core.cleaning.months import REAL_DATA

REAL_SHAPES = REAL_DATA / "zones" / "taxi_zones.geojson"
WEST, SOUTH, EAST, NORTH = -74.05, 40.6, -73.95, 40.7

Points = NDArray[np.float64]


def geometry(shape: shapely.Geometry) -> Geometry:
    return json.loads(shapely.to_geojson(shape))


def made_city() -> dict[int, Geometry]:
    """Zones that share borders, overlap, have a hole with an island in it, or have several parts."""
    random = np.random.default_rng(17)
    seeds = shapely.multipoints(random.uniform((WEST, SOUTH), (EAST, NORTH), (60, 2)))
    shore = shapely.buffer(shapely.Point(-74.0, 40.65), 0.045)
    cells = shapely.get_parts(shapely.voronoi_polygons(seeds))
    zones = [it for it in (shapely.intersection(cell, shore) for cell in cells) if not it.is_empty]
    lake = shapely.buffer(shapely.Point(-74.0, 40.65), 0.004)
    city = {number: shapely.difference(zone, lake) for number, zone in enumerate(zones, start=2)}
    city[1] = shapely.buffer(shapely.Point(-74.0, 40.65), 0.001)  # an island in the lake
    city[200] = shapely.box(-74.02, 40.62, -74.0, 40.64)  # over others, which come first
    city[201] = shapely.union(shapely.box(-74.05, 40.6, -74.049, 40.601), shapely.box(-73.95, 40.7, -73.949, 40.701))
    city[202] = shapely.Polygon([(-74.04, 40.6), (-74.0399999, 40.6), (-74.03, 40.61)])  # thinner than a cell
    return {number: geometry(it) for number, it in city.items()}


def said_by_shapely(shapes: dict[int, Geometry], points: Points) -> NDArray[np.int32]:
    """The first zone by number that a place is in or on the border of."""
    zones = np.full(len(points), OUTSIDE, dtype=np.int32)
    for number in sorted(shapes, reverse=True):
        shape = shapely.from_geojson(json.dumps(shapes[number]))
        shapely.prepare(shape)
        west, south, east, north = shape.bounds
        (near,) = np.nonzero(((west, south) <= points).all(axis=1) & (points <= (east, north)).all(axis=1))
        zones[near[shapely.intersects_xy(shape, *points[near].T)]] = number
    return zones


def hard_places(shapes: dict[int, Geometry], count: int, seed: int) -> Iterator[tuple[str, Points]]:
    """As many places of each kind: anywhere, and at those spots where a grid would be wrong first."""
    random = np.random.default_rng(seed)
    of_shapes = [shapely.from_geojson(json.dumps(it)) for it in shapes.values()]
    west, south, east, north = shapely.total_bounds(of_shapes)
    yield "anywhere", random.uniform((west - 0.01, south - 0.01), (east + 0.01, north + 0.01), (count, 2))
    corners = shapely.get_coordinates(of_shapes)
    at = random.integers(0, len(corners) - 1, count)
    yield "corners", corners[at]
    yield "beside corners", corners[at] + random.choice([1e-12, -1e-12, 1e-9, -1e-9, 1e-6, -1e-6], (count, 2))
    share = random.choice([0.25, 0.5, 1 / 3, 0.9], (count, 1))
    yield "on sides", corners[at] * (1 - share) + corners[at + 1] * share
    lines = np.array([west - CELL, south - CELL], dtype=np.float64) + CELL * random.integers(0, 600, (count, 2))
    yield "on lines of the grid", lines.astype(np.float64)


def test_the_grid_says_what_shapely_says_of_zones_of_any_shape() -> None:
    shapes = made_city()
    grid = ZoneGrid(shapes)
    for kind, points in hard_places(shapes, 20_000, seed=1):
        zones, expected = grid.zones_of(*points.T.copy()), said_by_shapely(shapes, points)
        assert np.array_equal(zones, expected), kind
        assert len(np.unique(expected)) > 20


@pytest.mark.skipif(not REAL_SHAPES.exists(), reason="the shapes of the city's zones are not beside the project")
def test_the_grid_says_what_shapely_says_of_new_york() -> None:
    shapes = read_shapes(REAL_SHAPES.read_bytes(), "here")
    grid = ZoneGrid(shapes)
    for kind, points in hard_places(shapes, 20_000, seed=2):
        assert np.array_equal(grid.zones_of(*points.T.copy()), said_by_shapely(shapes, points)), kind
    times_square, airport, harbour = (-73.9855, 40.758), (-73.7781, 40.6413), (-74.04, 40.66)
    assert [*grid.zones_of(*np.array([times_square, airport, harbour]).T.copy())] == [230, 132, OUTSIDE]


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_of_ten_million_places_not_one_is_in_another_zone_than_shapely_says() -> None:
    shapes = read_shapes(REAL_SHAPES.read_bytes(), "here") if REAL_SHAPES.exists() else made_city()
    grid = ZoneGrid(shapes)
    for seed in range(10):
        for kind, points in hard_places(shapes, 200_000, seed=100 + seed):
            assert np.array_equal(grid.zones_of(*points.T.copy()), said_by_shapely(shapes, points)), (kind, seed)


def test_a_place_that_is_no_place_or_on_the_other_side_of_the_world_is_outside() -> None:
    grid = ZoneGrid({7: geometry(shapely.box(-74.0, 40.6, -73.9, 40.7))})
    longitudes = np.array([np.nan, np.inf, -np.inf, 0.0, 1e300, -73.95, 73.95, -73.95])
    latitudes = np.array([40.65, 40.65, np.nan, 0.0, -1e300, 40.65, -40.65, 1e9])
    assert [*grid.zones_of(longitudes, latitudes)] == [OUTSIDE] * 5 + [7] + [OUTSIDE] * 2
    assert len(grid.zones_of(np.array([]), np.array([]))) == 0
