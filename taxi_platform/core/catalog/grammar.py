"""Which texts are a value: one grammar for every edition, reader and year. The data dictionary says it to people."""

from __future__ import annotations

#: What a text must be to be a value, by canonical type: for people, and as a regular expression.
GRAMMAR = {
    "number": (
        "digits, with a decimal point where they are not whole, a sign before them and an exponent behind them if need "
        "be: `7`, `-0.5`, `+1`, `.5`, `1e3`",
        r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*",
    ),
    "time": (
        "`YYYY-MM-DD HH:MM:SS`, hours from 0 to 23; month, day, hour, minute and second may have one digit, seconds "
        "may have a fraction (kept to the microsecond) or be left out, and so may the time of day; a `T` may stand for "
        "the blank. No zone, no AM or PM",
        r"\s*\d{4}-\d{1,2}-\d{1,2}((\s+|T)([01]?\d|2[0-3]):[0-5]?\d(:[0-5]?\d(\.\d{1,9})?)?)?\s*",
    ),
}
