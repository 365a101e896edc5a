"""The errors people are meant to read: what failed, for which month, why, and what to do about it."""

from __future__ import annotations

import re

from taxi_platform.core.showing import LONGEST_TEXT, shown, told

_PARTS = re.compile(r"(?s)(?P<what>.*?)(?:\. Cause: (?P<cause>.*?))?(?:\. Fix: (?P<fix>.*?))?\.?")


class TaxiPlatformError(Exception):
    """An error with everything a tired person needs: what happened, to what, the likely cause and the fix.

    What it is told of may come from a file or a server and be of any length: it is cut to what people read.

    Args:
        what: What happened, as a sentence without its full stop.
        about: The dataset and month (`"green 2020-11"`), or the table, it happened to.
        where: The object concerned: a URL with its password masked, a path, a table.
        cause: The likely cause.
        fix: What to do, as the command or setting to use.
        may_pass_later: Whether doing the very same again later may succeed; by default what the class says.
    """

    #: Whether doing the very same again later may succeed.
    may_pass_later = False

    def __init__(
        self,
        what: str,
        *,
        about: str | None = None,
        where: str | None = None,
        cause: str | None = None,
        fix: str | None = None,
        may_pass_later: bool | None = None,
    ) -> None:
        if may_pass_later is not None:
            self.may_pass_later = may_pass_later
        what, cause, fix = told(what), cause and told(cause), fix and told(fix)
        about, where = about and shown(about), where and shown(where, LONGEST_TEXT)
        self.what, self.about, self.where, self.cause, self.fix = what, about, where, cause, fix
        head = f"{about}: {what}" if about else what
        parts = [head, f"at {where}" if where else None]
        sentence = " ".join(part for part in parts if part)
        tail = [f"Cause: {cause}" if cause else None, f"Fix: {fix}" if fix else None]
        super().__init__(". ".join([sentence, *(part for part in tail if part)]) + ".")


def parts_of(told: str) -> tuple[str, str | None, str | None]:
    """What, cause and fix of the sentence an error says; records of runs hold nothing else of it."""
    found = _PARTS.fullmatch(told.strip())
    return (found["what"], found["cause"], found["fix"]) if found else (told, None, None)


class SettingsError(TaxiPlatformError):
    """An environment variable holds something the platform cannot use."""


class ContractError(TaxiPlatformError):
    """A contract in the catalog, or something asked of it, makes no sense."""


class LakeError(TaxiPlatformError):
    """The lake does not hold what it should, or cannot be reached."""


class NotHeldError(LakeError):
    """The lake can be reached, and does not hold the month."""


class WarehouseError(TaxiPlatformError):
    """The warehouse does not hold what it should, or cannot be reached."""


class ReplacedError(TaxiPlatformError):
    """Another run has replaced the month since this one took it: what this one would store is not the newest."""

    may_pass_later = True

    def __init__(self, about: str, where: str) -> None:
        super().__init__(
            "another run replaced the month while this one was working; this one has stored nothing more",
            about=about,
            where=where,
            cause="two runs of one month at once, of two files that were published for it, or by different rules",
            fix="run it again, if the other run does not bring the month to its end",
        )


class DiskFullError(TaxiPlatformError):
    """A disk has not the room for what is to be written: it is full, or would be. Trying again makes no room."""
