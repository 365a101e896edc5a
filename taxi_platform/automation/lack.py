"""What a month may lack. It is asked for where nobody waits for Dagster."""

from enum import StrEnum


class Lack(StrEnum):
    """What a month may lack."""

    MISSING = "missing"
    FAILED = "failed"
    CHANGED = "changed"
    OUTDATED = "outdated"
