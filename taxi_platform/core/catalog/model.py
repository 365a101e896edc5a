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
from typing import Annotated, ClassVar, Literal, Self

import pyarrow as pa
from pydantic import BeforeValidator, Field, model_validator

from taxi_platform.core.catalog.layout import Entry, Identifier, Layout, MonthField, SampleQuirks
from taxi_platform.core.catalog.types import ColumnType
from taxi_platform.core.errors import ContractError, TaxiPlatformError
from taxi_platform.core.month import Month

#: Holds, as JSON text, the values of published columns that the contract does not name.
EXTRA_COLUMNS = "extra_columns"
#: The month of the file a row came from; the column every table is replaced by.
SOURCE_MONTH = "source_month"


class Column(Entry):
    """One canonical column.

    Attributes:
        name: snake_case, the same for the same meaning in every dataset and year.
        names: Every name TLC has published it under; matched without regard to case and surrounding blanks.
        unit: What a number counts (`USD`, `miles`), where that is not plain from the codes.
        codes: What each value means, where the column holds codes.
        texts: Published text -> code (null where there is none), where some eras published words instead of codes.
            Without regard to case. The words themselves are kept in the column that is `text_of` this one.
        text_of: The column whose published words this one keeps; it has no published name of its own.
        zone_at: Of a zone's id: the columns with the longitude and the latitude it is derived from where no id was
            published.
        origin_of: The columns with ids of zones of which this one says whether they were published or derived; it has
            no published name of its own.
        required: Whether a row means nothing without it.
        sample: A DuckDB expression that makes a realistic value (see `core/source/sample.py`).
    """

    name: Identifier
    type: ColumnType
    description: str
    names: tuple[str, ...] = ()
    unit: str | None = None
    codes: dict[int | str, str] = Field(default_factory=dict[int | str, str])
    texts: dict[str, int | None] = Field(default_factory=dict[str, int | None])
    text_of: Identifier | None = None
    zone_at: tuple[Identifier, Identifier] | None = None
    origin_of: tuple[Identifier, ...] = ()
    required: bool = False
    sample: str = "NULL"

    @property
    def published_names(self) -> tuple[str, ...]:
        """Every name the column may arrive under, as `normalized`."""
        if self.text_of is not None or self.origin_of:
            return ()
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


class Rule(Entry):
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


class TableContract(Entry):
    """What is promised of one table, whatever store it is in."""

    title: str
    description: str
    owner: str
    documentation: str
    columns: tuple[Column, ...]

    #: Columns that the platform adds, which a contract must not name itself.
    reserved: ClassVar[tuple[str, ...]] = (EXTRA_COLUMNS, SOURCE_MONTH)

    @property
    def table(self) -> str:
        """The table's name, without its schema."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _columns_are_told_apart(self) -> Self:
        _require_unique("columns", [*self.reserved, *(column.name for column in self.columns)])
        owners: dict[str, str] = {}
        for column in self.columns:
            for name in column.published_names:
                if owners.setdefault(name, column.name) != column.name:
                    raise ValueError(f"columns {owners[name]} and {column.name} are both published as {name!r}")
        kept = {column.text_of for column in self.columns if column.text_of}
        if kept != {column.name for column in self.columns if column.texts}:
            raise ValueError("each column with texts needs one that is text_of it, and the other way round")
        read = {name for column in self.columns for name in (*(column.zone_at or ()), *column.origin_of)}
        if unknown := read - {column.name for column in self.columns}:
            raise ValueError(f"zone_at and origin_of name columns that are not there: {', '.join(sorted(unknown))}")
        placed = {column.name for column in self.columns if column.zone_at}
        if placed != {name for column in self.columns for name in column.origin_of}:
            raise ValueError("each column with zone_at needs one that is origin_of it, and the other way round")
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
    def zone_columns(self) -> dict[str, str]:
        """The columns that hold a zone's id, by which end of the trip they are of: `pickup`, `dropoff`."""
        suffix = "_location_id"
        return {it.name.removesuffix(suffix): it.name for it in self.columns if it.name.endswith(suffix)}

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of a cleaned file."""
        return pa.schema([pa.field(column.name, column.type.arrow) for column in self.stored_columns])

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that change whenever a column or a rule does."""
        meaning = {
            "columns": [column.model_dump(mode="json", exclude={"sample"}) for column in self.columns],
            "rules": [rule.model_dump(mode="json") for rule in self.rules],
        }
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

    def published_as(self, name: str) -> Column:
        """The column that is published under that name.

        Raises:
            KeyError: There is none.
        """
        return self._published[normalized(name)]

    @cached_property
    def _published(self) -> dict[str, Column]:
        return {known: column for column in self.columns for known in column.published_names}

    def layout_of(self, month: Month, edition: Literal["csv", "parquet"]) -> Layout:
        """The layout TLC used for an edition in that month; the oldest known one for months before it."""
        layouts = [layout for layout in self.layouts if layout.format == edition]
        return next((it for it in reversed(layouts) if it.since <= month), layouts[0])


class ReferenceContract(TableContract):
    """A small table that has no months.

    Attributes:
        name: The table's name.
        file: The file it is published as.
        rows: How many rows it has; None where it grows.
        key: The column that tells its rows apart: no row lacks it, and no two have the same value in it.
        key_within: The column among whose equal values the key does so, such as a month; None: among all rows.
    """

    kind: Literal["reference"]
    name: Identifier
    file: str
    rows: int | None = None
    key: Identifier
    key_within: Identifier | None = None

    @model_validator(mode="after")
    def _keys_are_required_columns(self) -> Self:
        for key in self.keys:
            if key not in {column.name for column in self.columns if column.required}:
                raise ValueError(f"the key, {key}, must be one of the columns, and required")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that together tell the rows apart, in the order rows are shown by."""
        return (self.key_within, self.key) if self.key_within else (self.key,)

    @property
    def table(self) -> str:
        """The contract's name."""
        return self.name


def normalized(name: str) -> str:
    """A published column name as names are compared: without case and surrounding blanks."""
    return name.strip().casefold()


def is_index(name: str) -> bool:
    """Whether a published column is only the number of its row, put there by a program that exported the file."""
    return normalized(name) in ("__index_level_0__", "unnamed: 0")


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
