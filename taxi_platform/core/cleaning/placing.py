"""Zones for trips that were published with coordinates and without: yellow and green ones until the middle of 2016.

A place that is missing, or (0, 0), which meters sent where they had none, is in no zone. What TLC published stays.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import PythonUDFType

from taxi_platform.core.catalog.model import Column, TripContract
from taxi_platform.core.cleaning.conversion import conversions
from taxi_platform.core.cleaning.fields import RawTable
from taxi_platform.core.zone_shapes import read_shapes

_ZONE_OF = "taxi_zone_of"


class Placing:
    """How the ids of zones come into the rows of a month.

    Args:
        contract: The dataset's contract.
        shapes: The file of the zones' shapes; None, or one that is not there, if there are none.
        con: What reads the month.
    """

    def __init__(self, contract: TripContract, shapes: Path | None, con: duckdb.DuckDBPyConnection) -> None:
        self._contract, self._con = contract, con
        self._shapes = shapes if shapes is not None and shapes.exists() else None

    def values(self, table: RawTable) -> dict[str, str]:
        """SQL over the converted columns, by the column that it is the value of.

        Raises:
            TaxiPlatformError: The month's zones have to be derived, and the file of shapes is none.
        """
        derived = self._derived(table)
        if derived:
            _ = self._is_ready
        published = {it.name for it in self._in_file(table) if it.zone_at}
        values: dict[str, str] = {}
        for column in self._contract.columns:
            if column.name in derived:
                place = derived[column.name]
                zone = f"if({_is_place(place)}, {_ZONE_OF}({', '.join(place)}), NULL)"
                values[column.name] = f"coalesce({column.name}, {zone})"
            elif ids := [it for it in column.origin_of if it in published or it in derived]:
                is_derived = [f"({it} IS NULL AND {_is_place(derived[it])})" for it in ids if it in derived]
                was_derived = f"WHEN {' OR '.join(is_derived)} THEN 'derived' " if is_derived else ""
                is_there = " OR ".join(f"{it} IS NOT NULL" for it in ids)
                values[column.name] = f"CASE {was_derived}WHEN {is_there} THEN 'published' END"
        return values

    def sources(self, table: RawTable) -> dict[str, tuple[str, ...]]:
        """Each column that is made here -> the published columns it is made of."""
        labels = {
            it.column.name: tuple(field.label for field in it.fields)
            for it in conversions(self._contract, table.fields)
        }
        made: dict[str, tuple[str, ...]] = {}
        for name, place in self._derived(table).items():
            made[name] = tuple(label for it in (name, *place) for label in labels[it])
        for column in self._contract.columns:
            if column.origin_of:
                of_ids = (made.get(it, labels[it]) for it in column.origin_of)
                made[column.name] = tuple(dict.fromkeys(label for it in of_ids for label in it))
        return made

    def told(self, table: RawTable) -> str:
        """What people are told of where the ids of zones are from; empty where they are TLC's."""
        if not self._lacking(table):
            return ""
        if self._shapes is None:
            return (
                "unknown: TLC published coordinates, and the shapes of the zones are not here (materialize "
                "reference/taxi_zone_shapes, then run the month again)"
            )
        return f"derived from coordinates, by shapes with SHA-256 {self.shapes_of(table)[:12]}"

    def shapes_of(self, table: RawTable) -> str:
        """The SHA-256 of the shapes that zones are derived by; empty where none are."""
        return hashlib.sha256(self._text).hexdigest() if self._derived(table) else ""

    def _derived(self, table: RawTable) -> dict[str, tuple[str, str]]:
        """The columns that are derived -> the columns with the longitude and the latitude."""
        return self._lacking(table) if self._shapes is not None else {}

    def _lacking(self, table: RawTable) -> dict[str, tuple[str, str]]:
        """The columns with ids whose place the file says -> the columns with the longitude and the latitude."""
        there = {it.name for it in self._in_file(table)}
        return {it.name: it.zone_at for it in self._contract.columns if it.zone_at and {*it.zone_at} <= there}

    def _in_file(self, table: RawTable) -> list[Column]:
        return [it.column for it in conversions(self._contract, table.fields) if it.fields]

    @cached_property
    def _text(self) -> bytes:
        return self._shapes.read_bytes() if self._shapes is not None else b""

    @cached_property
    def _is_ready(self) -> bool:
        """Makes the function that derives a zone known to the engine."""
        from taxi_platform.core.zone_grid import ZoneGrid  # only who derives zones waits for what that takes

        grid = ZoneGrid(read_shapes(self._text, str(self._shapes)))

        def zone_of(longitudes: Any, latitudes: Any) -> Any:  # Arrow arrays; the engine evaluates what stands here
            return pa.array(grid.zones_of(longitudes.to_numpy(), latitudes.to_numpy()), pa.int32())

        self._con.create_function(_ZONE_OF, zone_of, ["double", "double"], "INTEGER", type=PythonUDFType.ARROW)  # pyright: ignore[reportUnknownMemberType]
        return True


def _is_place(place: tuple[str, str]) -> str:
    """SQL for whether coordinates say anything."""
    longitude, latitude = place
    return f"{longitude} IS NOT NULL AND {latitude} IS NOT NULL AND ({longitude} <> 0 OR {latitude} <> 0)"
