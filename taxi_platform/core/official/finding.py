"""What TLC's reports say of a month, as a finding about its file: its trips, their money, and who dispatched them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from taxi_platform.core.catalog.model import TripContract
from taxi_platform.core.findings import Figure, Finding
from taxi_platform.core.month import Month
from taxi_platform.core.official.at_hand import GENERATED, OfficialFigures
from taxi_platform.core.official.bases import judge_bases, trips_by_base
from taxi_platform.core.official.editions import known_rows, other_edition
from taxi_platform.core.official.money import farebox, judge_money
from taxi_platform.core.official.verdict import Judgement, Verdict, judge
from taxi_platform.core.official.whereabouts import whereabouts
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.source.files import RawFile

_OF_MONEY = {Verdict.LACKS: "the file lacks money", Verdict.MORE: "the file has more money"}


def agrees_with_tlc_report(
    contract: TripContract,
    month: Month,
    raw: RawFile,
    files: Sequence[ParquetFile],
    beside: Callable[[], Sequence[ParquetFile]],
    official: OfficialFigures,
    spill_to: Path,
) -> Finding:
    """The file has as many trips, and as much money, as TLC reports; where it has not, in which days and vendors.

    Where the report of bases agrees with the file and the monthly report does not, it is that report that is off: the
    one counts trips, the other tells whole trips per day.

    Args:
        contract: The dataset's contract.
        month: The month.
        raw: Its file.
        files: The rows of the file: those that were kept, and those that were turned away.
        beside: Gives the rows of the months before and after it; asked only where the file is off.
        official: What TLC reports.
        spill_to: Folder for what does not fit into memory.
    """
    if raw.publication.url.startswith(GENERATED):
        return Finding(holds=True, says="the file is generated", figures={"rows": raw.rows}, judged=False)
    dataset, report, counted = contract.dataset, official.report(), official.counts
    trips = judge(
        dataset,
        month,
        raw.rows,
        report,
        lambda other: known_rows(dataset, other, raw.edition, counted),
        other_edition(dataset, month, raw.edition),
    )
    by_base = official.by_base(dataset, month)
    of_bases = judge_bases(dataset, month, trips_by_base(contract, files, spill_to), by_base) if by_base else None
    of_money = None
    if (said := report.of(dataset, month)) and said.farebox_per_day and trips.verdict is not Verdict.UNJUDGED:
        dollars = farebox(contract, files, spill_to)
        of_money = None if dollars is None else judge_money(dataset, month, dollars, report)
    judged = [it for it in (trips, of_bases, of_money) if it is not None and it.verdict is not Verdict.UNJUDGED]
    told = "; ".join(it.says for it in judged) or (of_bases or trips).says
    is_vouched = of_bases is not None and of_bases.verdict is Verdict.AGREES
    if is_vouched and not trips.is_near:
        told = f"{told}: it is the monthly report that is off"
    is_off = any(it.verdict in (Verdict.LACKS, Verdict.MORE) and not (it is trips and is_vouched) for it in judged)
    if is_off and (places := whereabouts(contract, month, files, beside(), spill_to)):
        told = f"{told}; {places}"
    figures: dict[str, Figure] = {"rows": raw.rows, "verdict": str(trips.verdict), "source": report.source}
    figures |= _figures(trips, "trips in TLC's report", "difference")
    if of_bases is not None:
        figures |= {"verdict by bases": str(of_bases.verdict)}
        figures |= _figures(of_bases, "trips in the report of bases", "difference by bases")
    if of_money is not None:
        figures |= {
            "verdict on money": _OF_MONEY.get(of_money.verdict, str(of_money.verdict)),
            "money, USD": of_money.rows,
        }
        figures |= _figures(of_money, "money in TLC's report, USD", "difference of money")
    holds = all(it.is_near or (it is trips and is_vouched) for it in judged)
    return Finding(holds, told, figures, judged=bool(judged))


def _figures(it: Judgement, reported: str, difference: str) -> dict[str, Figure]:
    if it.reported is None:
        return {}
    return {reported: it.reported, difference: it.difference, f"{difference}, in %": round(100 * it.share, 2)}
