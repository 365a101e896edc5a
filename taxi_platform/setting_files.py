"""Settings whose values are in files: `TAXI_ALERT_URLS_FILE` names the file that says what `TAXI_ALERT_URLS` is.

A value that is a secret then stands in no environment that `docker inspect`, a service file or a crash report shows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from taxi_platform.core.errors import SettingsError

#: What is longer is no setting, but a file somebody named by mistake.
_LARGEST = 64 * 1024
SUFFIX = "_FILE"


def is_file_of(name: str, settings: Iterable[str]) -> bool:
    """Whether a variable names the file of a setting."""
    return name.endswith(SUFFIX) and name.removesuffix(SUFFIX) in settings


def values_in_files(variables: Mapping[str, str], settings: Iterable[str]) -> dict[str, str]:
    """What the files say that variables name: setting to value. A file with nothing in it says nothing.

    Args:
        variables: Variable name to value.
        settings: The settings there are.

    Raises:
        SettingsError: A file cannot be read, or the variable itself says something else. Nothing of a value is told.
    """
    found: dict[str, str] = {}
    for name in settings:
        path = variables.get(name + SUFFIX, "").strip()
        value = _read(name + SUFFIX, path) if path else ""
        if value and variables.get(name, "").strip() not in ("", value):
            raise SettingsError(
                f"{name} and {name}{SUFFIX} are both set",
                where=path,
                cause="the file holds another value than the variable",
                fix=f"unset {name}, or leave the file empty",
            )
        if value:
            found[name] = value
    return found


def _read(variable: str, path: str) -> str:
    try:
        # Without waiting for somebody to write into a pipe of that name.
        with os.fdopen(os.open(Path(path).expanduser(), os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _unusable(variable, path, "it is no file")
            held = file.read(_LARGEST + 1)
        if len(held) > _LARGEST:
            raise _unusable(variable, path, f"it is larger than {_LARGEST // 1024} KiB")
        return held.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise _unusable(variable, path, "it is not UTF-8") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise _unusable(variable, path, str(getattr(error, "strerror", None) or "there can be no such path")) from None


def _unusable(variable: str, path: str, cause: str) -> SettingsError:
    return SettingsError(
        f"the file that {variable} names cannot be used",
        where=path,
        cause=cause,
        fix=f"let {variable} name a file that holds the value and may be read, or unset it",
    )
