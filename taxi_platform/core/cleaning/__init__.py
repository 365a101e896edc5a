"""A raw file becomes cleaned rows and quarantined rows, and not one is lost between them."""

from taxi_platform.core.cleaning.clean import CleanedMonth, RuleCount, clean
from taxi_platform.core.cleaning.replay import Moves, moves

__all__ = ["CleanedMonth", "Moves", "RuleCount", "clean", "moves"]
