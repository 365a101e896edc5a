"""What the bases of for-hire vehicles reported of each month, as TLC added it up (NYC Open Data 2v9c-2k7f)."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from taxi_platform.core.catalog.model import Column, ColumnType, ReferenceContract
from taxi_platform.core.reference import Made, read_reference_file
from taxi_platform.core.source.files import RawFile

#: The table's name.
TABLE = "fhv_base_report"

_YEAR, _MONTH = (
    Column(name=name, type=ColumnType.INT32, description=f"The {name} that is reported.", required=True)
    for name in ("year", "month")
)


def read_base_report(contract: ReferenceContract, raw: RawFile) -> pa.Table:
    """The report's rows; its months are published as a year and a month.

    Raises:
        TaxiPlatformError: The file is not what the contract says.
    """
    return read_reference_file(contract, raw, {"report_month": Made((_YEAR, _MONTH), _first_days)})


def _first_days(years: pa.Array[Any], months: pa.Array[Any]) -> pa.Array[Any]:
    texts = [pc.utf8_lpad(pc.cast(it, pa.string()), width, "0") for it, width in ((years, 4), (months, 2))]
    return pc.cast(pc.binary_join_element_wise(*texts, "01", "-"), pa.date32())
