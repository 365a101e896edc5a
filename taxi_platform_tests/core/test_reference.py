"""The zone lookup: 265 zones, and texts that stay texts."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.reference import read_reference_file
from taxi_platform.core.source.files import Publication, RawFile
from taxi_platform_tests.core.cleaning.months import CATALOG, REAL_DATA, raw_file

ZONES = CATALOG.zones
SHIPPED = Path(__file__).parents[2] / "taxi_platform" / "core" / "source" / ZONES.file


def read(path: Path) -> pa.Table:
    return read_reference_file(ZONES, raw_file(path))


def read_text(folder: Path, text: str) -> pa.Table:
    path = folder / ZONES.file
    path.write_text(text, encoding="utf-8")
    publication = Publication(url="https://example.com/taxi_zone_lookup.csv")
    return read_reference_file(ZONES, RawFile(path, publication, "", len(text), 265, "utf-8", ""))


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_the_lookup_has_265_zones_as_its_contract_says() -> None:
    zones = read(SHIPPED)

    assert zones.num_rows == ZONES.rows == 265
    assert zones.column_names == [column.name for column in ZONES.columns]
    assert [field.type for field in zones.schema] == [column.type.arrow for column in ZONES.columns]
    assert zones["location_id"].to_pylist() == list(range(1, 266))


def test_not_available_and_unknown_are_texts() -> None:
    zones = read(SHIPPED)

    assert all(zones[name].null_count == 0 for name in zones.column_names)
    unknown, outside = zones.slice(263).to_pylist()
    assert (unknown["borough"], unknown["zone"], unknown["service_zone"]) == ("Unknown", "N/A", "N/A")
    assert (outside["borough"], outside["service_zone"]) == ("N/A", "N/A")


def test_every_text_is_the_one_of_the_file() -> None:
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)

    assert [[str(value) for value in row.values()] for row in read(SHIPPED).to_pylist()] == rows


@pytest.mark.skipif(not REAL_DATA.exists(), reason="TLC's files are not beside the project")
@pytest.mark.parametrize("name", ["taxi_zone_lookup.csv", "taxi_zone_lookup.old_wording.csv"])
def test_the_published_files_of_either_wording_are_read(name: str) -> None:
    zones = read(REAL_DATA / "zones" / name)

    assert zones.num_rows == 265
    assert all(zones[column].null_count == 0 for column in zones.column_names)


def test_columns_are_found_by_name_in_any_order_and_case(tmp_path: Path) -> None:
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    rows[0] = [f" {name.upper()}" for name in rows[0]]
    path = tmp_path / ZONES.file
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(reversed(row) for row in rows)

    assert read(path).equals(read(SHIPPED))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: lines[:-1], "it has 264 rows, not 265"),
        (lambda lines: [*lines, '266,"A","B","C"'], "it has 266 rows, not 265"),
        (lambda lines: lines[:1], "it has 0 rows, not 265"),
        (lambda lines: ['"LocationID","Area","Zone","service_zone"', *lines[1:]], "none of them is borough"),
        (lambda lines: [*lines[:-1], 'x,"A","B","C"'], "its columns are"),
        (lambda lines: [*lines[:-1], "265"], "its columns are"),
        (lambda lines: [], "it has 0 rows, not 265"),
        (lambda lines: ["<html>", "<body>moved</body>"], "its columns are <html>"),
    ],
    ids=["a row less", "a row more", "no rows", "no borough", "a text for an id", "a short row", "empty", "a page"],
)
def test_a_file_that_is_not_what_the_contract_says_is_an_error(
    change: Callable[[list[str]], list[str]], told: str, tmp_path: Path
) -> None:
    with pytest.raises(TaxiPlatformError) as error:
        read_text(tmp_path, "\n".join(change(lines_of(SHIPPED))))

    for word in ("taxi_zones", "not what its contract says", "https://example.com/taxi_zone_lookup.csv", told):
        assert word in str(error.value)


def test_blank_lines_are_no_zones(tmp_path: Path) -> None:
    assert read_text(tmp_path, "\n".join([*lines_of(SHIPPED), "", ""])).num_rows == 265


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    assert read_text(tmp_path, "\ufeff" + "\n".join(lines_of(SHIPPED))).num_rows == 265
