"""Which taxi zone a place is in: asked of millions of places, by a grid whose cells are mostly wholly inside one zone.

A place is in the zone whose shape it lies in or on the border of, as shapely says; in the first by number where shapes
touch or overlap; and in 265, "outside of the city", where it lies in none. A cell that no border runs through is wholly
inside or outside of each shape, so that one question answers for it. Places in the other cells are asked about one by
one, of the few zones that are near.
"""

# shapely's names are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from taxi_platform.core.zone_shapes import Geometry

#: What TLC's lookup calls "Outside of NYC".
OUTSIDE = 265
#: Degrees from one line of the grid to the next: some 20 metres. Half of it asks for four times the memory.
CELL = 0.0002
#: Degrees by which a border may miss a cell and still count as running through it: a tenth of a millimetre.
_NEAR = 1e-9
#: What stands, while the grid is made, for a cell that a border runs through; in the end it is a number of its own.
_BORDER = -1

Places = NDArray[np.float64]
Zones = NDArray[np.int32]


class ZoneGrid:
    """Zones, made ready to be asked which of them a place is in.

    Args:
        shapes: Zone -> GeoJSON, in degrees.
    """

    def __init__(self, shapes: Mapping[int, Geometry]) -> None:
        self._numbers: Zones = np.array(sorted(shapes), dtype=np.int32)
        self._shapes: NDArray[Any] = shapely.from_geojson([json.dumps(shapes[int(it)]) for it in self._numbers])
        shapely.prepare(self._shapes)
        west, south, east, north = shapely.total_bounds(self._shapes)
        # A cell more on each side: what is beyond the grid is outside, and so is its edge.
        self._west, self._south = west - CELL, south - CELL
        self._columns, self._rows = (int(it / CELL) + 3 for it in (east - west, north - south))
        _ = self._grid, self._near_cells  # now: several threads may ask at once

    def zones_of(self, longitudes: Places, latitudes: Places) -> Zones:
        """The zone of each place.

        Args:
            longitudes: Degrees; any number, finite or not.
            latitudes: As many.
        """
        columns, rows = self._cells(longitudes, latitudes)
        is_here = (columns >= 0) & (columns < self._columns) & (rows >= 0) & (rows < self._rows)
        cells = np.where(is_here, rows * self._columns + columns, 0).astype(np.int64)  # the first cell is outside
        zones = self._grid[cells]
        (asked,) = np.nonzero(zones < 0)
        if len(asked):
            zones[asked] = self._exactly(longitudes[asked], latitudes[asked], _BORDER - zones[asked])
        return zones

    def _cells(self, longitudes: Places, latitudes: Places) -> tuple[Places, Places]:
        """The column and the row of each place in the grid, as whole numbers; what is no number is in none."""
        with np.errstate(invalid="ignore"):
            columns = np.floor((longitudes - self._west) / CELL)
            rows = np.floor((latitudes - self._south) / CELL)
        return columns, rows

    def _exactly(self, longitudes: Places, latitudes: Places, cells: Zones) -> Zones:
        """The zone of each place, by its shape; `cells` are numbers of those that a border runs through."""
        _, first, number = self._near_cells
        begin, count = first[cells].T
        zones = np.full(len(cells), OUTSIDE, dtype=np.int32)
        (open_,) = np.nonzero(count)
        for turn in range(int(count.max(initial=0))):  # the zones near a cell in the order of their numbers
            open_ = open_[count[open_] > turn]
            asked = number[begin[open_] + turn]
            inside = shapely.intersects_xy(self._shapes[asked], longitudes[open_], latitudes[open_])
            zones[open_[inside]] = self._numbers[asked[inside]]
            open_ = open_[~inside]
        return zones

    @cached_property
    def _grid(self) -> Zones:
        """The zone of each cell, row by row from the south-west; `_BORDER` less its number for one with a border."""
        grid = np.zeros(self._columns * self._rows, dtype=np.int32)
        grid[self._borders[0]] = _BORDER
        # Cells side by side in a row that no border parts are in the same zone: one of them is asked for all.
        is_new = np.ones(len(grid), dtype=bool)
        is_new[1:] = grid[1:] != grid[:-1]
        is_new[:: self._columns] = True
        (runs,) = np.nonzero(is_new)
        runs_of_one = runs[grid[runs] != _BORDER]
        longitudes = self._west + (runs_of_one % self._columns + 0.5) * CELL
        latitudes = self._south + (runs_of_one // self._columns + 0.5) * CELL
        zones = np.full(len(runs), _BORDER, dtype=np.int32)
        zones[grid[runs] != _BORDER] = self._inside(longitudes, latitudes)
        grid = np.repeat(zones, np.diff(runs, append=len(grid)))
        there = self._near_cells[0]
        grid[there] = _BORDER - np.arange(len(there))
        return grid

    def _inside(self, longitudes: Places, latitudes: Places) -> Zones:
        """The zone of each of some places: every shape is asked of those within its bounds."""
        zones = np.full(len(longitudes), OUTSIDE, dtype=np.int32)
        order = np.argsort(latitudes, kind="stable")
        by_latitude = latitudes[order]
        for number, shape in zip(self._numbers[::-1], self._shapes[::-1], strict=True):  # the first has the last word
            west, south, east, north = shapely.bounds(shape)
            some = order[np.searchsorted(by_latitude, south) : np.searchsorted(by_latitude, north, side="right")]
            some = some[(longitudes[some] >= west) & (longitudes[some] <= east)]
            zones[some[shapely.intersects_xy(shape, longitudes[some], latitudes[some])]] = number
        return zones

    @cached_property
    def _near_cells(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The cells with a border, where the places of the zones near each begin and how many there are, and these.

        A zone that reaches into a cell with a border either has a border in it, or has all of it: both are found.
        """
        cells, shapes = self._borders
        there = np.unique(cells)
        longitudes = self._west + (there % self._columns + 0.5) * CELL
        latitudes = self._south + (there // self._columns + 0.5) * CELL
        tree = shapely.STRtree(self._shapes)
        found = tree.query(shapely.points(longitudes, latitudes), predicate="intersects")
        pairs = np.unique(
            np.concatenate([cells * len(self._shapes) + shapes, there[found[0]] * len(self._shapes) + found[1]])
        )
        owners, numbers = np.divmod(pairs, len(self._shapes))
        there, begin, count = np.unique(owners, return_index=True, return_counts=True)
        return there, np.stack([begin, count], axis=1), numbers

    @cached_property
    def _borders(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The cells that borders run through, and the place of the shape each border is of."""
        points, owner = shapely.get_coordinates(self._rings[0], return_index=True)
        is_side = owner[1:] == owner[:-1]
        begin, end, owner = points[:-1][is_side], points[1:][is_side], self._rings[1][owner[:-1][is_side]]
        # A side is in the cells between the lines of the grid it crosses: it is cut where it does, and each cut and the
        # middle of each piece say where it is.
        shares, sides = [np.zeros(len(begin)), np.ones(len(begin))], [np.arange(len(begin))] * 2
        for axis, edge in enumerate((self._west, self._south)):
            a, b = (begin[:, axis] - edge) / CELL, (end[:, axis] - edge) / CELL
            low, high = np.ceil(np.minimum(a, b)).astype(np.int64), np.floor(np.maximum(a, b)).astype(np.int64)
            count = np.maximum(high - low + 1, 0)
            side = np.repeat(np.arange(len(begin)), count)
            line = low[side] + np.arange(len(side)) - np.repeat(np.cumsum(count) - count, count)
            with np.errstate(divide="ignore", invalid="ignore"):
                share = (line - a[side]) / (b - a)[side]
            lies_across = np.isfinite(share)
            shares.append(np.clip(share[lies_across], 0, 1))
            sides.append(side[lies_across])
        share, side = np.concatenate(shares), np.concatenate(sides)
        order = np.lexsort((share, side))
        share, side = share[order], side[order]
        middle = (share[1:] + share[:-1])[side[1:] == side[:-1]] / 2
        share, side = np.append(share, middle), np.append(side, side[1:][side[1:] == side[:-1]])
        where = begin[side] + (end - begin)[side] * share[:, None]
        found: list[NDArray[np.int64]] = []
        for beside in ((-_NEAR, -_NEAR), (-_NEAR, _NEAR), (_NEAR, -_NEAR), (_NEAR, _NEAR)):
            columns, rows = self._cells(where[:, 0] + beside[0], where[:, 1] + beside[1])
            cells = (rows * self._columns + columns).astype(np.int64)
            found.append(cells * len(self._shapes) + owner[side])
        cells, shapes = np.divmod(np.unique(np.concatenate(found)), len(self._shapes))
        return cells, shapes

    @cached_property
    def _rings(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Every ring of every shape, and the place of the shape it is of."""
        parts, owner = shapely.get_parts(self._shapes, return_index=True)
        rings, part = shapely.get_rings(parts, return_index=True)
        return rings, owner[part]
