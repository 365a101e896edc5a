"""What TLC's report says of a month, as a finding about its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.findings import Figure, Finding
from taxi_platform.core.month import Month
from taxi_platform.core.official.editions import known_rows, other_edition
from taxi_platform.core.official.report import REPORT_URL, shipped_report
from taxi_platform.core.official.verdict import Verdict, judge
from taxi_platform.core.official.whereabouts import whereabouts
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source.files import RawFile

_GENERATED = "sample://"


def agrees_with_tlc_report(
    contract: TripContract,
    month: Month,
    raw: RawFile,
    files: Sequence[ParquetFile],
    beside: Callable[[], Sequence[ParquetFile]],
    spill_to: Path,
) -> Finding:
    """The file has as many trips as TLC's monthly report says; where it has not, in which days and vendors.

    Args:
        contract: The dataset's contract.
        month: The month.
        raw: Its file.
        files: The rows of the file: those that were kept, and those that were turned away.
        beside: Gives the rows of the months before and after it; asked only where the file is off.
        spill_to: Folder for what does not fit into memory.
    """
    if raw.publication.url.startswith(_GENERATED):
        return Finding(holds=True, says="the file is generated", figures={"rows": raw.rows}, judged=False)
    judgement = judge(
        contract.dataset,
        month,
        raw.rows,
        shipped_report(),
        lambda other: known_rows(contract.dataset, other, raw.edition),
        other_edition(contract.dataset, month, raw.edition),
    )
    figures: dict[str, Figure] = {"rows": raw.rows, "verdict": str(judgement.verdict), "source": REPORT_URL}
    if judgement.reported is not None:
        figures |= {
            "trips in TLC's report": judgement.reported,
            "difference": judgement.difference,
            "difference, in %": round(100 * judgement.share, 2),
        }
    says = judgement.says
    if judgement.verdict in (Verdict.LACKS, Verdict.MORE) and (
        told := whereabouts(contract, month, files, beside(), spill_to)
    ):
        says = f"{says}; {told}"
    return Finding(judgement.is_near, says, figures, judged=judgement.verdict is not Verdict.UNJUDGED)
