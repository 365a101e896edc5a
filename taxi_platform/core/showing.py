"""How much of a text people are shown: what comes in has no bound, what is read and kept in logs and events has.

A field of a file may hold megabytes, a file thousands of columns, a damaged one any bytes. Whatever of it goes into a
run's log, an event, metadata or an error goes through here. The data itself is never cut.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Characters shown of a value or a name: enough to recognise it by.
LONGEST_VALUE = 200
#: Characters shown of a whole sentence, a list, or what another program said: about what fits on a page.
LONGEST_TEXT = 2_000
#: Names, or names with their values, shown in a row; of the others it is said how many they are.
MOST_NAMED = 20

_MARK = "… ({} characters)"


def shown(text: str, longest: int = LONGEST_VALUE) -> str:
    """A text as people are shown it: cut, with a mark that says how long it was, and without control characters."""
    if len(text) <= longest:
        return escaped(text)
    return escaped(text[:longest]) + _MARK.format(f"{len(text):,}")


def told(text: str) -> str:
    """What a program says, as people are shown it: cut as a whole sentence is, lines and tabs as they are."""
    lines = text[:LONGEST_TEXT].split("\n")
    cut = "\n".join("\t".join(map(escaped, line.split("\t"))) for line in lines)
    return cut + (_MARK.format(f"{len(text):,}") if len(text) > LONGEST_TEXT else "")


def listed(names: Iterable[str], separator: str = ", ", longest: int = LONGEST_VALUE) -> str:
    """The first of many names, each as `shown`, and how many more there are: in all no more than a whole sentence."""
    every = list(names)
    first, room = list[str](), LONGEST_TEXT - longest
    for name in every[:MOST_NAMED]:
        text = shown(name, longest)
        room -= len(text)
        if room < 0 and first:
            break
        first.append(text)
    more = len(every) - len(first)
    return separator.join([*first, f"and {more:,} more"] if more else first)


def escaped(text: str) -> str:
    """A text with whatever is not printed (control characters, marks of direction, halves of characters) escaped."""
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() else it.encode("unicode_escape").decode("ascii") for it in text)


def cut_in_sql(text: str, longest: int = LONGEST_VALUE) -> str:
    """SQL that cuts a text as `shown` does, so that the rest never leaves DuckDB; what it yields is to be `escaped`.

    Args:
        text: SQL of the type VARCHAR.
        longest: Characters left of it.
    """
    before, after = _MARK.split("{}")
    mark = f"'{before}' || format('{{:,}}', length({text})) || '{after}'"
    return f"if(length({text}) > {longest}, left({text}, {longest}) || {mark}, {text})"
