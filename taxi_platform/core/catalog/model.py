"""The model of a contract: what a table's columns are, what its source may call them, and which rows are turned away.

The YAML files beside this module are read into these classes by `load_catalog`. Everything else is derived from them:
the SQL that reads and casts a month, the Arrow schema, the tables and their comments, the column schema in the UI,
the checks, the sample generator.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, Self

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from taxi_platform.core.errors import ContractError, TaxiPlatformError
from taxi_platform.core.month import Month

#: Holds, as JSON text, the values of published columns that the contract does not name.
EXTRA_COLUMNS = "extra_columns"
#: The month of the file a row came from; the column every table is replaced by.
SOURCE_MONTH = "source_month"


def _month(value: object) -> Month:
    try:
        return value if isinstance(value, Month) else Month.parse(str(value))
    except TaxiPlatformError as error:
        raise ValueError(str(error)) from error  # what pydantic adds the entry's name to


MonthField = Annotated[Month, BeforeValidator(_month), PlainSerializer(str)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ColumnType(StrEnum):
    """A canonical type; each engine maps it to its own."""

    STRING = "string"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT64 = "float64"
    TIMESTAMP = "timestamp"  # microseconds, New York wall clock, no zone: as TLC publishes it
    DATE = "date"

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type."""
        return _ARROW[self]

    @property
    def duckdb(self) -> str:
        """The DuckDB type."""
        return _DUCKDB[self]


_ARROW: dict[ColumnType, pa.DataType] = {
    ColumnType.STRING: pa.string(),
    ColumnType.INT32: pa.int32(),
    ColumnType.INT64: pa.int64(),
    ColumnType.FLOAT64: pa.float64(),
    ColumnType.TIMESTAMP: pa.timestamp("us"),
    ColumnType.DATE: pa.date32(),
}
_DUCKDB = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INT32: "INTEGER",
    ColumnType.INT64: "BIGINT",
    ColumnType.FLOAT64: "DOUBLE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.DATE: "DATE",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Column(_Frozen):
    """One canonical column.

    Attributes:
        name: snake_case, the same for the same meaning in every dataset and year.
        names: Every name TLC has published it under; matched without regard to case and surrounding blanks.
        unit: What a number counts (`USD`, `miles`), where that is not plain from the codes.
        codes: What each value means, where the column holds codes.
        required: Whether a row means nothing without it.
        sample: A DuckDB expression that makes a realistic value (see `core/source/sample.py`).
    """

    name: Identifier
    type: ColumnType
    description: str
    names: tuple[str, ...] = ()
    unit: str | None = None
    codes: dict[int | str, str] = {}
    required: bool = False
    sample: str = "NULL"

    @property
    def published_names(self) -> tuple[str, ...]:
        """Every name the column may arrive under, as `normalized`."""
        return tuple(dict.fromkeys(normalized(name) for name in (*self.names, self.name)))

    @property
    def full_description(self) -> str:
        """Description, unit and codes in one text: what a table's column comment says."""
        unit = f" Unit: {self.unit}." if self.unit else ""
        codes = "; ".join(f"{code} = {meaning}" for code, meaning in self.codes.items())
        return f"{self.description}{unit}{f' Codes: {codes}.' if codes else ''}"


class RuleAction(StrEnum):
    """What happens to a row that breaks a rule."""

    REJECT = "reject"  # to quarantine, with its reason
    WARN = "warn"  # kept and counted
    OFF = "off"  # not looked at


class Rule(_Frozen):
    """A statement about a row that should not be true.

    Attributes:
        condition: A SQL expression over the canonical columns and `source_month`. Two more names may stand alone:
            `unreadable` (a value did not convert, or the row has too few or too many fields) and `duplicate`
            (an earlier row of the month is equal in every column).
    """

    name: Identifier
    condition: str
    description: str
    # An unquoted `off` is a boolean to YAML.
    action: Annotated[RuleAction, BeforeValidator(lambda value: "off" if value is False else value)]


class Layout(_Frozen):
    """How TLC laid a file out over a span of months; the sample generator writes it, the dictionary shows it.

    Reading does not depend on it: a file is read by the header it has.
    """

    since: MonthField
    format: Literal["csv"]
    header: tuple[str, ...]


class SampleQuirks(_Frozen):
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


class TableContract(_Frozen):
    """What is promised of one table, whatever store it is in."""

    title: str
    description: str
    owner: str
    documentation: str
    columns: tuple[Column, ...]

    @property
    def table(self) -> str:
        """The table's name, without its schema."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _columns_are_told_apart(self) -> Self:
        _require_unique("columns", [EXTRA_COLUMNS, SOURCE_MONTH, *(column.name for column in self.columns)])
        owners: dict[str, str] = {}
        for column in self.columns:
            for name in column.published_names:
                if owners.setdefault(name, column.name) != column.name:
                    raise ValueError(f"columns {owners[name]} and {column.name} are both published as {name!r}")
        return self

    def column(self, name: str) -> Column:
        """The column of that canonical name.

        Raises:
            KeyError: There is none.
        """
        return {column.name: column for column in self.columns}[name]


class TripContract(TableContract):
    """A dataset of trips, published as one file a month."""

    kind: Literal["trips"]
    dataset: Identifier
    first_month: MonthField
    rules: tuple[Rule, ...]
    layouts: Annotated[tuple[Layout, ...], Field(min_length=1)]
    sample: SampleQuirks = SampleQuirks()

    @model_validator(mode="after")
    def _rules_are_told_apart(self) -> Self:
        _require_unique("rules", [rule.name for rule in self.rules])
        return self

    @property
    def table(self) -> str:
        """`<dataset>_trips`, in the lake and in every warehouse."""
        return f"{self.dataset}_trips"

    @cached_property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns of a cleaned file, in order: the contract's, then `extra_columns`."""
        return (*self.columns, _EXTRA)

    @cached_property
    def table_columns(self) -> tuple[Column, ...]:
        """The columns of the warehouse table, in order: `source_month`, then those of a cleaned file."""
        return (_MONTH, *self.stored_columns)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of a cleaned file."""
        return pa.schema([pa.field(column.name, column.type.arrow) for column in self.stored_columns])

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that change whenever a column or a rule does."""
        meaning = self.model_dump(mode="json", include={"columns", "rules"})
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:12]

    def actions(self, overrides: Mapping[str, str] | None = None) -> dict[str, RuleAction]:
        """Each rule's action, in the contract's order.

        Args:
            overrides: Rule name to action, for this run only.

        Raises:
            ContractError: An override names an unknown rule or action; lists the known ones.
        """
        actions = {rule.name: rule.action for rule in self.rules}
        for name, action in (overrides or {}).items():
            if name not in actions:
                close = difflib.get_close_matches(name, actions, n=1)
                hint = f"did you mean {close[0]}? " if close else ""
                raise ContractError(
                    f"there is no rule {name!r}", about=self.table, fix=f"{hint}The rules are: {', '.join(actions)}"
                )
            if action not in list(RuleAction):
                raise ContractError(
                    f"rule {name} cannot be set to {action!r}", about=self.table, fix=f"use {', '.join(RuleAction)}"
                )
            actions[name] = RuleAction(action)
        return actions

    def month(self, key: str) -> Month:
        """The month of a partition key.

        Raises:
            TaxiPlatformError: `key` is no month, or not one this dataset can have: before its first, or not over yet.
        """
        month, today = Month.parse(key), datetime.now(UTC)
        if not self.first_month <= month < Month(today.year, today.month):
            raise TaxiPlatformError(
                f"{month} is outside the dataset's months",
                about=self.table,
                cause=f"its months are {self.first_month} to the last whole one",
                fix="name one of them as YYYY-MM",
            )
        return month

    def layout_of(self, month: Month) -> Layout:
        """The layout TLC used in that month; the oldest known one for months before it."""
        return next((it for it in reversed(self.layouts) if it.since <= month), self.layouts[0])


class ReferenceContract(TableContract):
    """A small table that has no months.

    Attributes:
        name: The table's name.
        file: The file it is published as.
        rows: How many rows it has.
    """

    kind: Literal["reference"]
    name: Identifier
    file: str
    rows: int

    @property
    def table(self) -> str:
        """The contract's name."""
        return self.name


def normalized(name: str) -> str:
    """A published column name as names are compared: without case and surrounding blanks."""
    return name.strip().casefold()


def _require_unique(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} may have a name once, and not the platform's own: {', '.join(twice)}")


_EXTRA = Column(
    name=EXTRA_COLUMNS,
    type=ColumnType.STRING,
    description="Values of published columns that the contract does not name yet, as a JSON object; usually null.",
)
_MONTH = Column(
    name=SOURCE_MONTH,
    type=ColumnType.DATE,
    description="First day of the month of the file the row came from, whatever its pickup says.",
    required=True,
)
