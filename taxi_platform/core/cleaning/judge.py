"""A contract's rules as bits: each row carries one integer that says which of them it breaks."""

from __future__ import annotations

from taxi_platform.core.catalog.model import RuleAction, TripContract
from taxi_platform.core.engine import literal

UNREADABLE = "unreadable"
_DUPLICATE = "duplicate"


class Judge:
    """What a contract's rules and their actions come to in SQL."""

    def __init__(self, contract: TripContract, actions: dict[str, RuleAction]) -> None:
        self.rules = contract.rules
        self.actions = actions
        self.bits = {rule.name: 1 << position for position, rule in enumerate(self.rules)}
        self.duplicate_rule = next((rule.name for rule in self.rules if rule.condition == _DUPLICATE), "")
        self.unreadable_rule = next((rule.name for rule in self.rules if rule.condition == UNREADABLE), UNREADABLE)
        self.rejecting = sum(bit for name, bit in self.bits.items() if actions[name] is RuleAction.REJECT)

    @property
    def keeps_unreadable(self) -> bool:
        """Whether rows with a value that does not convert are kept."""
        return self.actions.get(self.unreadable_rule) is not RuleAction.REJECT

    @property
    def broken(self) -> str:
        """SQL for a row's bits. Duplicates are found later: one row does not tell."""
        fired = [
            f"if({rule.condition}, {self.bits[rule.name]}, 0)"
            for rule in self.rules
            if self.actions[rule.name] is not RuleAction.OFF and rule.condition != _DUPLICATE
        ]
        return " | ".join(fired) or "0"

    @property
    def names(self) -> str:
        """SQL for the list of the names of the rules a row breaks."""
        return names_of("broken", self.bits)


def names_of(bits: str, named: dict[str, int]) -> str:
    """SQL for the list of the names whose bits are set in a column."""
    names = ", ".join(f"if({bits} & {bit} > 0, {literal(name)}, NULL)" for name, bit in named.items())
    return f"list_filter([{names}]::VARCHAR[], lambda name: name IS NOT NULL)"
