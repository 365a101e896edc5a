"""What the columns hold that no contract knows: a look into `extra_columns`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taxi_platform.core import engine
from taxi_platform.core.catalog.model import EXTRA_COLUMNS
from taxi_platform.core.engine import literal
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.showing import cut_in_sql, escaped

#: Values shown of each column.
_EXAMPLES = 3


def usual_values(cleaned: ParquetFile, names: Sequence[str], spill_to: Path) -> list[str]:
    """Some values of unknown columns, of all rows: those that are found most often, as people are shown them.

    Every row is looked at once, whatever the number of names: its JSON is read once, and of each column a few values
    are held in memory, however many there are.

    Args:
        cleaned: The month.
        names: The columns; no more than are shown.
        spill_to: Folder for what does not fit into memory.

    Returns:
        Per name the values in a row; empty where the column is never filled.
    """
    if not names:
        return []
    # A JSON path would read some characters of a name as its own; of a JSON pointer two are, and can be escaped.
    pointers = ", ".join(literal("/" + name.replace("~", "~0").replace("/", "~1")) for name in names)
    found = ", ".join(
        f"array_to_string(approx_top_k({cut_in_sql(f'found[{place}]')}, {_EXAMPLES}), ', ')"
        for place in range(1, len(names) + 1)
    )
    query = f"""
        SELECT {found}
        FROM (
            SELECT json_extract_string({EXTRA_COLUMNS}, [{pointers}]) AS found
            FROM {engine.parquet(cleaned.path)}
            WHERE {EXTRA_COLUMNS} IS NOT NULL
        )
    """
    with engine.connect(spill_to) as con:
        (row, *_) = con.execute(query).fetchall()
    return [escaped(text or "") for text in row]
