"""What the lake keeps of a month beside its trips, whatever kind of lake it is.

    _raw/<dataset>/<YYYY-MM>/<sha256>/<original name>     every edition ever fetched; never changed
    _raw/<dataset>/<YYYY-MM>/<sha256>/provenance.json     when, from where, its ETag, rows
    _raw/<dataset>/<YYYY-MM>/choice.json                  which of them the month is made of, and whether that is pinned
    _quarantine/<dataset>/<YYYY-MM>.parquet               the rows that were turned away

An edition is there once its provenance is, which comes last. Programs that read tables pass over such names.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from taxi_platform.core.errors import LakeError, TaxiPlatformError
from taxi_platform.core.files import link_or_copy, publish, sha256_of, work_folder
from taxi_platform.core.lake import Lake
from taxi_platform.core.month import Month
from taxi_platform.core.parquet import Lineage, ParquetFile
from taxi_platform.core.source.errors import UnavailableError
from taxi_platform.core.source.files import PROVENANCE, RawFile
from taxi_platform.core.source.retry import LOCK_SECONDS
from taxi_platform.core.source.source import lock_of
from taxi_platform.core.turns import turn

_CHOICE = "choice.json"
_NONE: list[str] = []


@dataclass(frozen=True)
class Choice:
    """Which edition a month is made of.

    Attributes:
        sha256: Its name.
        pinned: Whether it stays, whatever the source publishes.
        since: When it was chosen, ISO 8601 in UTC.
    """

    sha256: str
    pinned: bool = False
    since: str = ""


@dataclass(frozen=True)
class MonthLayers:
    """A month's raw editions and quarantine in a lake.

    Attributes:
        lake: The lake.
        dataset: The dataset.
        month: The month.
    """

    lake: Lake
    dataset: str
    month: Month

    @property
    def about(self) -> str:
        """What it is to people."""
        return f"{self.dataset} {self.month}"

    def keep(self, raw: RawFile) -> None:
        """Keep an edition, unless it is kept already.

        Raises:
            LakeError: It cannot be stored, or the file is another by now.
        """
        self.lake.put_object(self._name(raw.sha256, raw.path.name), raw.path, raw.sha256)  # or see that it still is
        if not self.has(raw.sha256):
            self._put_text(self._name(raw.sha256, PROVENANCE), raw.to_json())

    def has(self, sha256: str) -> bool:
        """Whether an edition is kept."""
        return self._name(sha256, PROVENANCE) in self.lake.list_objects(self._name(sha256, ""))

    def editions(self) -> list[RawFile]:
        """What is known of every edition that is kept, the first that was fetched first; their files stay there."""
        names = self.lake.list_objects(self._name(""))
        found = [self._known(name.split("/")[-2]) for name in names if name.endswith(f"/{PROVENANCE}")]
        return sorted((it for it in found if it is not None), key=lambda it: (it.fetched_at, it.sha256))

    def bring(self, sha256: str, raw_dir: Path, log: logging.Logger) -> RawFile:
        """Make an edition the month's raw file on this machine.

        Args:
            sha256: Which.
            raw_dir: Where this machine's raw files are, `<raw_dir>/<dataset>/<YYYY-MM>/<original name>`.
            log: For what is waited for.

        Raises:
            LakeError: The lake does not hold it, or not whole.
        """
        folder, lock = raw_dir / self.dataset / str(self.month), lock_of(raw_dir, self.dataset, str(self.month))
        doing = "fetching this file"
        with turn(lock, about=self.about, doing=doing, patience=LOCK_SECONDS, log=log, raised=UnavailableError):
            here = RawFile.in_folder(folder)
            if here is not None and here.sha256 == sha256 and here.is_whole:
                return here
            return self._bring(sha256, folder, here)

    def _bring(self, sha256: str, folder: Path, before: RawFile | None) -> RawFile:
        known = self._known(sha256)
        object_ = None if known is None else self.lake.get_object(self._name(sha256, known.path.name))
        if known is None or object_ is None:
            raise LakeError(
                "the lake does not hold this edition of the raw file",
                about=self.about,
                where=self._name(sha256, ""),
                fix=f"taxi editions {self.dataset} {self.month} lists those it holds",
            )
        raw = RawFile.from_json(known.to_json(), folder)
        with work_folder(folder.parent, folder.name) as work:
            copy = work / "copy"
            link_or_copy(object_, copy)
            if sha256_of(copy) != sha256:
                raise LakeError(
                    "an edition in the lake is not what was put there",
                    about=self.about,
                    where=str(object_),
                    cause="somebody changed the object, or its disk is failing",
                    fix="remove it there, then run the month again: it is fetched from the source",
                )
            publish(copy, raw.path)
        raw.record()
        if before is not None and before.path != raw.path:
            before.path.unlink(missing_ok=True)
        return raw

    def forget(self, most: int) -> list[str]:
        """Remove the oldest editions beyond so many; the one the month is made of stays.

        Args:
            most: How many are kept; 0 for all.

        Returns:
            The names of those that are no more.
        """
        if not most:
            return _NONE
        choice, kept = self.choice(), self.editions()
        old = [it for it in kept[: max(0, len(kept) - most)] if choice is None or it.sha256 != choice.sha256]
        for it in old:  # the provenance first: what has none is no edition
            self.lake.remove_object(self._name(it.sha256, PROVENANCE))
            self.lake.remove_object(self._name(it.sha256, it.path.name))
        return [it.sha256 for it in old]

    def choice(self) -> Choice | None:
        """Which edition the month is made of; None where nobody has said."""
        text = self._text(self._name(_CHOICE))
        try:
            return None if text is None else Choice(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise LakeError(
                "nobody can tell which edition the month is made of",
                about=self.about,
                where=self._name(_CHOICE),
                cause=str(error),
                fix="remove that object, then run the month again",
            ) from error

    @property
    def is_pinned(self) -> bool:
        """Whether the month stays what it is, whatever the source publishes."""
        choice = self.choice()
        return choice is not None and choice.pinned

    def choose(self, sha256: str, *, pinned: bool) -> None:
        """Say which edition the month is made of."""
        before = self.choice()
        if before is None or (before.sha256, before.pinned) != (sha256, pinned):
            since = datetime.now(UTC).isoformat(timespec="seconds")
            self._put_text(self._name(_CHOICE), json.dumps(asdict(Choice(sha256, pinned, since)), indent=2) + "\n")

    def taken(self, raw: RawFile) -> None:
        """The month is made of this edition from now on, unless somebody has pinned another one meanwhile."""
        before = self.choice()
        if before is None or not before.pinned:
            self.choose(raw.sha256, pinned=False)

    def keep_quarantine(self, file: ParquetFile) -> str:
        """Keep the rows that were turned away, in the place of those of before; gives the object's URI."""
        return self.lake.put_object(quarantine_name(self.dataset, self.month), file.path, file.sha256)

    def quarantine(self) -> ParquetFile | None:
        """The rows that were turned away; None where the lake does not hold them."""
        path = self.lake.get_object(quarantine_name(self.dataset, self.month))
        return None if path is None else ParquetFile(path)

    def _known(self, sha256: str) -> RawFile | None:
        text = self._text(self._name(sha256, PROVENANCE))
        try:
            return None if text is None else RawFile.from_json(text, Path(self._name(sha256)))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def _name(self, *parts: str) -> str:
        return "/".join(("_raw", self.dataset, str(self.month), *parts))

    def _text(self, name: str) -> str | None:
        path = self.lake.get_object(name)
        try:
            return None if path is None else path.read_text(encoding="utf-8")
        except FileNotFoundError:  # removed, or replaced, a moment ago
            return None

    def _put_text(self, name: str, text: str) -> None:
        with TemporaryDirectory() as work:
            path = Path(work) / "text"
            path.write_text(text, encoding="utf-8")
            self.lake.put_object(name, path, sha256_of(path))


def quarantine_name(dataset: str, month: Month) -> str:
    """What a month's quarantine is called in a lake."""
    return f"_quarantine/{dataset}/{month}.parquet"


def editions_held(lake: Lake, dataset: str) -> Counter[Month]:
    """How many editions of each month of a dataset are kept.

    Raises:
        LakeError: The lake cannot be reached.
    """
    names = lake.list_objects(f"_raw/{dataset}/")
    return Counter(Month.parse(name.split("/")[2]) for name in names if name.endswith(f"/{PROVENANCE}"))


def lineages_in(lake: Lake, dataset: str, months: set[Month]) -> dict[Month, Lineage]:
    """Where months came from, by their quarantine in the lake: it says so as the cleaned file does, and is small.

    Raises:
        LakeError: The lake cannot be reached.
    """
    held = lake.list_objects(f"_quarantine/{dataset}/") if months else {}
    found: dict[Month, Lineage] = {}
    for month in sorted(months):
        if quarantine_name(dataset, month) in held:
            file = MonthLayers(lake, dataset, month).quarantine()
            try:
                if file is not None:
                    found[month] = file.lineage
            except (TaxiPlatformError, OSError, pa.ArrowInvalid):
                continue  # whoever asks only compares with it
    return found
