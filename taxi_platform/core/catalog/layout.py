"""How TLC laid its files out, era by era, and what makes a generated month look like one of them.

Reading does not depend on any of it: a file is read by the header it has.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month


def _month(value: object) -> Month:
    try:
        return value if isinstance(value, Month) else Month.parse(str(value))
    except TaxiPlatformError as error:
        raise ValueError(str(error)) from error  # what pydantic adds the entry's name to


MonthField = Annotated[Month, BeforeValidator(_month), PlainSerializer(str)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Entry(BaseModel):
    """An entry of a contract: it does not change, and has nothing the model does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Layout(Entry):
    """How TLC laid a file out over a span of months; the sample generator writes it, the dictionary shows it.

    Attributes:
        since: First month laid out like this, until the next layout of the same format.
        header: The names, in order, with the blanks they are published with.
        texts: Those of them that hold words instead of codes.
        types: Parquet types by name, where they are not the usual ones (int64, double, string, timestamp).
        junk_fields: Empty fields that every row of a CSV has beyond its header.
        blank_lines: How each of the blank lines that follow the header ends.
        quoted: Whether every field is quoted.
    """

    since: MonthField
    format: Literal["csv", "parquet"]
    header: tuple[str, ...]
    texts: tuple[str, ...] = ()
    types: dict[str, Literal["int32", "int64", "double", "string", "null"]] = {}
    junk_fields: int = 0
    blank_lines: tuple[Literal["LF", "CRLF"], ...] = ()
    quoted: bool = False


class SampleQuirks(Entry):
    """What makes a generated month as untidy as a real one.

    Attributes:
        helpers: Named SQL expressions the columns' `sample` expressions may use, each using those before it.
        duplicate_share: Share of rows that repeat the row before them, 0 to 1.
        garbled_column: Canonical column that now and then holds text that is no value.
        garbled_share: Share of rows in which it does, 0 to 1.
    """

    helpers: dict[Identifier, str] = {}
    duplicate_share: float = Field(default=0.0, ge=0, le=1)
    garbled_column: Identifier | None = None
    garbled_share: float = Field(default=0.0, ge=0, le=1)
