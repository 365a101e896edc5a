"""One YAML contract per table, and the model that reads it. Adding a dataset is adding a file here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from taxi_platform.core.catalog.model import ReferenceContract, TripContract
from taxi_platform.core.errors import ContractError

_CONTRACT: TypeAdapter[TripContract | ReferenceContract] = TypeAdapter(
    Annotated[TripContract | ReferenceContract, Field(discriminator="kind")]
)

#: The table that says what the ids of locations stand for.
ZONES = "taxi_zones"


@dataclass(frozen=True)
class Catalog:
    """Every contract the platform keeps."""

    #: By dataset, in the order of their files.
    trips: dict[str, TripContract]
    zones: ReferenceContract
    #: What else is published beside the trips, by table.
    reports: dict[str, ReferenceContract] = field(default_factory=dict[str, ReferenceContract])

    @property
    def references(self) -> dict[str, ReferenceContract]:
        """Every table without months, by its name."""
        return {self.zones.table: self.zones, **self.reports}

    def of_table(self, table: str) -> TripContract:
        """The trip contract whose table has that name.

        Raises:
            KeyError: There is none.
        """
        return {contract.table: contract for contract in self.trips.values()}[table]


def load_catalog(*more: Path) -> Catalog:
    """Read the project's contracts, and any further contract files.

    Args:
        more: Paths of further YAML contracts.

    Raises:
        ContractError: A file is not a valid contract; names the file, the entry and what is wrong with it.
    """
    contracts = list(_read((*sorted(Path(__file__).parent.glob("*.yaml")), *more)))
    references = {it.table: it for it in contracts if isinstance(it, ReferenceContract)}
    return Catalog(
        trips={it.dataset: it for it in contracts if isinstance(it, TripContract)},
        zones=references.pop(ZONES),
        reports=references,
    )


def _read(paths: Iterable[Path]) -> Iterable[TripContract | ReferenceContract]:
    for path in paths:
        try:
            yield _CONTRACT.validate_python(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
        except (ValidationError, yaml.YAMLError) as error:
            raise ContractError(f"not a valid contract: {error}", where=str(path)) from error
