"""Trips that were published with coordinates get the zones these lie in; what TLC published stays."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform_tests.core.cleaning.months import GREEN, YELLOW, Month, Outcome, clean_file, clean_lines, trip

HEADER = ",".join(YELLOW.layout_of(Month.parse("2013-06"), "csv").header)
#: Two squares, west and east of each other.
SHAPES = {
    "features": [
        {
            "properties": {"LocationID": zone},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, 40.7], [x, 40.8], [x + 0.1, 40.8], [x + 0.1, 40.7], [x, 40.7]]],
            },
        }
        for zone, x in ((12, -74.0), (34, -73.9))
    ]
}
IN_12, IN_34, IN_NONE = ("-73.95", "40.75"), ("-73.85", "40.75"), ("-73.85", "41.5")
ZONES = ("pickup_location_id", "dropoff_location_id", "location_id_origin")


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    path = tmp_path / "taxi_zones.geojson"
    path.write_text(json.dumps(SHAPES))
    return path


def line(pickup: tuple[str, str], dropoff: tuple[str, str], minute: int = 0) -> str:
    """A trip of the middle of 2013."""
    when = f"2013-06-05 10:{minute:02}:00,2013-06-05 11:10:00"
    return f"CMT,{when},1,2.5,{','.join(pickup)},1,N,{','.join(dropoff)},CSH,8,0.5,0.5,0,0,9"


def cleaned(folder: Path, *lines: str, **options: Any) -> Outcome:
    return clean_lines(folder, lines, header=HEADER, name="yellow_tripdata_2013-06.csv", key="2013-06", **options)


def zones_of(outcome: Outcome) -> list[tuple[Any, ...]]:
    return list(zip(*(outcome.column(name) for name in ZONES), strict=True))


def test_a_trip_has_the_zones_its_coordinates_lie_in(tmp_path: Path, shapes: Path) -> None:
    lines = [line(IN_12, IN_34), line(IN_34, IN_NONE), line(IN_NONE, IN_12)]
    outcome = cleaned(tmp_path, *lines, shapes=shapes)
    assert zones_of(outcome) == [(12, 34, "derived"), (34, 265, "derived"), (265, 12, "derived")]
    assert outcome.is_conserved
    assert outcome.column("pickup_longitude") == [-73.95, -73.85, -73.85]


@pytest.mark.parametrize("nowhere", [("0", "0"), ("", ""), ("", "40.75"), ("-73.95", ""), ("0.0", "-0.0")], ids=str)
def test_a_trip_without_coordinates_or_at_zero_has_no_zone(
    tmp_path: Path, shapes: Path, nowhere: tuple[str, str]
) -> None:
    outcome = cleaned(tmp_path, line(nowhere, nowhere), line(nowhere, IN_12, 1), shapes=shapes)
    assert zones_of(outcome) == [(None, None, None), (None, 12, "derived")]


def test_without_shapes_no_zone_is_made_up_and_the_month_says_so(tmp_path: Path, shapes: Path) -> None:
    for folder, missing in ((tmp_path / "a", None), (tmp_path / "b", tmp_path / "nothing.geojson")):
        folder.mkdir()
        outcome = cleaned(folder, line(IN_12, IN_34), shapes=missing)
        assert zones_of(outcome) == [(None, None, None)]
        assert "materialize reference/taxi_zone_shapes" in outcome.month.zones
        assert outcome.month.cleaned.lineage.zone_shapes == ""
    (tmp_path / "c").mkdir()
    derived = cleaned(tmp_path / "c", line(IN_12, IN_34), shapes=shapes).month
    digest = derived.cleaned.lineage.zone_shapes
    assert len(digest) == 64
    assert digest[:12] in derived.zones
    assert derived.cleaned.lineage.edition_name != outcome.month.cleaned.lineage.edition_name


def test_what_tlc_published_stays_and_nobody_is_told_anything(tmp_path: Path, shapes: Path) -> None:
    rows = [trip(), trip(PULocationID="", DOLocationID=""), trip(PULocationID="", DOLocationID="7", VendorID="2")]
    outcome = clean_lines(tmp_path, rows, shapes=shapes)
    assert zones_of(outcome) == [(142, 43, "published"), (None, None, None), (None, 7, "published")]
    assert outcome.month.zones == outcome.month.cleaned.lineage.zone_shapes == ""
    assert outcome.month.sources["location_id_origin"] == ("PULocationID", "DOLocationID")


def test_where_a_file_has_both_an_id_that_is_there_wins(tmp_path: Path, shapes: Path) -> None:
    path = tmp_path / "green_tripdata_2016-07.parquet"
    columns: dict[str, list[Any]] = {
        "lpep_pickup_datetime": ["2016-07-05 10:00:00"] * 3,
        "PULocationID": [99, None, 99],
        "DOLocationID": [98, None, None],
        "Pickup_longitude": [-73.95] * 3,
        "Pickup_latitude": [40.75] * 3,
        "Dropoff_longitude": [-73.85] * 3,
        "Dropoff_latitude": [40.75] * 3,
    }
    pq.write_table(pa.table(columns), path)
    outcome = clean_file(path, GREEN, "2016-07", {"duplicate_row": "off"}, shapes)
    assert zones_of(outcome) == [(99, 98, "published"), (12, 34, "derived"), (99, 34, "derived")]
    assert outcome.month.sources["pickup_location_id"] == ("PULocationID", "Pickup_longitude", "Pickup_latitude")


def test_rows_that_are_turned_away_have_their_zones_too(tmp_path: Path, shapes: Path) -> None:
    bad = line(IN_12, IN_34, 1).replace("2013-06-05 11:10:00", "soon")
    outcome = cleaned(tmp_path, line(IN_12, IN_34), bad, shapes=shapes)
    assert [tuple(it[name] for name in ZONES) for it in outcome.turned_away] == [(12, 34, "derived")]
    assert "dropoff_datetime" in outcome.turned_away[0]["original"]
    assert "location_id" not in outcome.turned_away[0]["original"]


def test_a_file_of_shapes_that_is_none_is_refused_with_its_name(tmp_path: Path, shapes: Path) -> None:
    shapes.write_text("<html>gone</html>")
    with pytest.raises(TaxiPlatformError, match=r"taxi_zones\.geojson") as error:
        cleaned(tmp_path, line(IN_12, IN_34), shapes=shapes)
    assert "taxi_zone_shapes" in str(error.value)
