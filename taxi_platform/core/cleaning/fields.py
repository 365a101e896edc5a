"""The fields of a raw file, and the file as DuckDB reads it.

No published name ever reaches SQL as an identifier of ours: fields are `f0`, `f1`, … in the order of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from taxi_platform.core.catalog.model import normalized

#: Fields from which on a file is wide: TLC's widest have 25. It is read in small blocks by one thread, so that memory
#: does not grow by the fields times the rows of a block.
WIDE = 200
_CELLS_AT_ONCE = 1 << 19


def is_wide(fields: int) -> bool:
    """Whether a file of so many fields is read as a wide one."""
    return fields > WIDE


def rows_at_once(fields: int, usual: int) -> int:
    """How many rows of a file of so many fields are held at a time; as many as usual where the file is not wide."""
    return min(usual, max(64, _CELLS_AT_ONCE // fields)) if is_wide(fields) else usual


@dataclass(frozen=True)
class RawField:
    """One field of a raw file.

    Attributes:
        name: As published; empty where the header does not name it.
        label: What tells it from the file's other fields: its name, or its place where that is missing or not its own.
        column: The SQL name it is read under.
        type: DuckDB's name of its type; `VARCHAR` for every field of a CSV.
        zone: The time zone of an instant; empty for every other type.
        is_tidy: Whether no text in it is a number to DuckDB that is none to us (see `conversion.py`).
    """

    name: str
    label: str
    column: str
    type: str
    zone: str = ""
    is_tidy: bool = False


@dataclass(frozen=True)
class RawTable:
    """A raw file as DuckDB reads it.

    Attributes:
        fields: In the order of the file.
        scan: The `FROM` clause that reads it, yielding `fields` by their `column`, in the order of the rows.
        malformed: A query for the lines that have too few or too many fields or cannot be decoded: `row_number`
            (1-based, among the data rows of the file) and `line`. It answers once the scan has run on the same
            connection. None where the format has no such lines.
        surplus: How many fields the rows have beyond those that the header names; all of them are empty.
        told: How it had to be read, where that is not plain, a sentence each.
    """

    fields: tuple[RawField, ...]
    scan: str
    malformed: str | None = None
    surplus: int = 0
    told: tuple[str, ...] = ()


def fields_of(
    names: Sequence[str], types: Sequence[str], zones: Sequence[str] = (), *, is_tidy: bool = False
) -> tuple[RawField, ...]:
    """The fields of a file that names them so; each gets a label that no other has.

    Args:
        names: As published, in the order of the file.
        types: DuckDB's names of their types.
        zones: Their time zones, where they have any.
        is_tidy: What `RawField.is_tidy` says of all of them.
    """
    shared = Counter(map(normalized, names))
    fields: list[RawField] = []
    for place, (name, kind) in enumerate(zip(names, types, strict=True), start=1):
        label = name
        while not label.strip() or shared[normalized(label)] > (label == name):
            label = f"{label.strip()} (field {place})".strip()
        zone = zones[place - 1] if zones else ""
        fields.append(RawField(name, label, f"f{place - 1}", kind, zone, is_tidy))
    return tuple(fields)
