"""A raw file becomes cleaned rows and quarantined rows, and not one is lost between them."""

from taxi_platform.core.cleaning.clean import CleanedMonth, RuleCount, clean

__all__ = ["CleanedMonth", "RuleCount", "clean"]
