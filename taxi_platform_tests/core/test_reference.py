"""The zone lookup: 265 zones, and texts that stay texts."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.reference import LARGEST_FILE, read_reference_file, read_reference_text
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
        (lambda lines: [*lines[:-1], 'x,"A","B","C"'], "location_id is 'x' in line 266, which is not a whole number"),
        (lambda lines: [*lines[:-1], "265"], "line 266 has 1 fields, too few for borough; its columns are LocationID"),
        (lambda lines: [], "it has not even a header"),
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


def test_a_lookup_made_of_tlcs_own_shapefile_is_refused_by_its_repeated_ids(tmp_path: Path) -> None:
    header, *zones = lines_of(SHIPPED)
    # TLC's shapefile has 263 shapes: 56 stands there for 57, and 103 for 104 and 105, too.
    shapes = {"57": "56", "104": "103", "105": "103"}
    lines = [",".join([shapes.get(number, number), rest]) for number, _, rest in (it.partition(",") for it in zones)]

    with pytest.raises(TaxiPlatformError) as error:
        read_text(tmp_path, "\n".join([header, *lines]))

    assert len(lines) == 265
    for told in (
        "taxi_zones: ",
        "at https://example.com/taxi_zone_lookup.csv. ",
        "location_id must not repeat, and 2 of its values are there more than once: 56 (2 times), 103 (3 times). ",
        "Fix: give each location_id one line",
    ):
        assert told in str(error.value)


def test_of_many_repeated_ids_the_first_few_are_named_and_all_are_counted(tmp_path: Path) -> None:
    header, *zones = lines_of(SHIPPED)

    with pytest.raises(TaxiPlatformError) as error:
        read_text(tmp_path, "\n".join([header, *zones, *zones]))

    assert "265 of its values are there more than once: 1 (2 times), 2 (2 times), " in str(error.value)
    assert "5 (2 times) and 260 more; it has 530 rows, not 265" in str(error.value)
    assert "6 (2 times)" not in str(error.value)


@pytest.mark.parametrize("again", ["1", "1.0", "01", " 1 ", "+1"])
def test_an_id_repeats_however_it_is_written(again: str, tmp_path: Path) -> None:
    lines = lines_of(SHIPPED)
    with pytest.raises(TaxiPlatformError, match=r"there more than once: 1 \(2 times\)"):
        read_text(tmp_path, "\n".join([*lines[:-1], f'{again},"A","B","C"']))


@pytest.mark.parametrize("nothing", ["", "  ", '""'])
def test_a_zone_without_an_id_is_refused_by_its_line(nothing: str, tmp_path: Path) -> None:
    lines = lines_of(SHIPPED)
    with pytest.raises(TaxiPlatformError, match=r"location_id is empty in line 266"):
        read_text(tmp_path, "\n".join([*lines[:-1], f'{nothing},"A","B","C"']))


@pytest.mark.parametrize("text", ["1.5", "0x38", "1e2", "12 345", "9999999999", "9" * 5_000, "NaN", "N/A"])
def test_an_id_that_is_no_whole_number_is_refused_by_its_line_and_not_in_full_length(text: str, tmp_path: Path) -> None:
    lines = lines_of(SHIPPED)
    with pytest.raises(
        TaxiPlatformError, match=r"location_id is '.*' in line 266, which is not a whole number"
    ) as error:
        read_text(tmp_path, "\n".join([*lines[:-1], f'{text},"A","B","C"']))
    assert len(str(error.value)) < 500


def _with_lines(change: Callable[[int, str], str]) -> str:
    return "\n".join(change(number, line) for number, line in enumerate(lines_of(SHIPPED)))


SAME_ZONES = {
    "ids as floating-point numbers": _with_lines(lambda at, it: it if at == 0 else it.replace(",", ".0,", 1)),
    "a header that ends with a comma": _with_lines(lambda at, it: it if at else f"{it},"),
    "every line ends with a comma": _with_lines(lambda at, it: f"{it},"),
    "only the rows end with a comma": _with_lines(lambda at, it: f"{it}," if at else it),
    "line ends of old Macs": _with_lines(lambda at, it: it).replace("\n", "\r"),
    "line ends of Windows": _with_lines(lambda at, it: it).replace("\n", "\r\n"),
    "line ends of every kind": _with_lines(lambda at, it: f"{it}\r" if at % 2 else it),
    "no quotes in the header": _with_lines(lambda at, it: it if at else it.replace('"', "")),
    "blanks after the commas": _with_lines(lambda at, it: it.replace(",", ", ")),
    "blanks in the header": _with_lines(lambda at, it: it if at else it.replace('",', ' ",')),
    "lines of blanks": "\n  \n" + _with_lines(lambda at, it: f"{it}\n \n"),
    "lines of commas, as spreadsheets leave them": _with_lines(lambda at, it: it) + "\n,,,\n,,,",
    "a column more": _with_lines(lambda at, it: f"{it},Shape_Area" if at == 0 else f"{it},0.5"),
    "the number of the row": _with_lines(lambda at, it: f",{it}" if at == 0 else f"{at - 1},{it}"),
    "the id twice, the same": _with_lines(lambda at, it: f"{it},location_id" if at == 0 else f"{it},{at}"),
    "a byte order mark": "\ufeff" + _with_lines(lambda at, it: it),
    "a byte order mark read as latin-1": "\u00ef\u00bb\u00bf" + _with_lines(lambda at, it: it),
    "a byte order mark and a blank line": "\ufeff\n" + _with_lines(lambda at, it: it),
}


@pytest.mark.parametrize("text", SAME_ZONES.values(), ids=SAME_ZONES)
def test_the_same_zones_are_read_however_programs_write_them(text: str) -> None:
    assert read_reference_text(ZONES, text, "https://example.com").equals(read(SHIPPED))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            _with_lines(lambda at, it: f"{it},5" if at == 7 else it),
            r"line 8 has 5 fields, the header 4 names: .* '5' is",
        ),
        (
            _with_lines(lambda at, it: it.replace('",', ",", 1) if at == 7 else it),
            r"line 8 is no CSV: ',' expected after '\"'",
        ),
        (
            _with_lines(lambda at, it: it.removesuffix('"') if at == 7 else it.replace('"', "")),
            r"line 266 is no CSV: unexpected end of data",
        ),
        (
            _with_lines(lambda at, it: f"{it},Zone" if at == 0 else f"{it},X"),
            r"zone is in the header 2 times, and in line 2 one says 'Newark Airport', another 'X'",
        ),
        (_with_lines(lambda at, it: "\0".join(it)), r"it has NUL characters: it is UTF-16"),
        (
            _with_lines(lambda at, it: it.replace('"', "").replace(",", ";")),
            r"its columns are .*LocationID.*; none of them is location_id",
        ),
        (_with_lines(lambda at, it: it if at else ""), r"its columns are 1, EWR.*; none of them is location_id"),
        (
            _with_lines(lambda at, it: f'{it}\n"{"x" * 200_000}"'),
            r"location_id is 'x{59}…' in line 2, which is not a whole number",
        ),
    ],
    ids=[
        "a surplus value",
        "a lost quote",
        "an open quote",
        "a name twice",
        "utf-16",
        "semicolons",
        "no header",
        "a giant",
    ],
)
def test_a_text_that_might_be_read_wrongly_is_refused_with_the_line_and_the_reason(text: str, told: str) -> None:
    with pytest.raises(TaxiPlatformError, match=told) as error:
        read_reference_text(ZONES, text, "https://example.com/taxi_zone_lookup.csv")
    assert len(str(error.value)) < 1_000


def test_a_file_too_large_to_be_a_reference_table_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / ZONES.file
    with path.open("wb") as file:
        file.truncate(LARGEST_FILE + 1)  # sparse: no byte of it is on the disk
    publication = Publication(url="https://example.com/taxi_zone_lookup.csv")

    with pytest.raises(TaxiPlatformError, match=r"it has 67,108,865 bytes; 67,108,864 are read at most"):
        read_reference_file(ZONES, RawFile(path, publication, "", LARGEST_FILE + 1, 265, "utf-8", ""))


def test_blank_lines_are_no_zones(tmp_path: Path) -> None:
    assert read_text(tmp_path, "\n".join([*lines_of(SHIPPED), "", ""])).num_rows == 265


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    assert read_text(tmp_path, "\ufeff" + "\n".join(lines_of(SHIPPED))).num_rows == 265


@pytest.mark.parametrize("name", ["taxi_zone_lookup.csv", "taxi_zone_lookup.csv.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_a_lookup_is_read_whatever_it_is_packed_in_and_written_in(
    name: str, encoding: str, end: str, tmp_path: Path
) -> None:
    content = end.join([*SHIPPED.read_text(encoding="utf-8").splitlines(), ""]).encode(encoding)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read_reference_file(ZONES, raw_file(path)).equals(read_reference_file(ZONES, raw_file(SHIPPED)))


def test_a_lookup_that_is_parquet_is_refused_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "taxi_zone_lookup.csv"
    pq.write_table(pa.table({"LocationID": [1]}), path)
    with pytest.raises(TaxiPlatformError, match="it is a Parquet file, not a CSV"):
        read_reference_file(ZONES, raw_file(path))
