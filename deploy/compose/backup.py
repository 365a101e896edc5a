"""Saves what the deployment holds into a folder, and brings it back: `make backup`, `make restore`.

It needs nothing but Python and `docker compose`. In order: Dagster's records, then the tables, then the files. What is
loaded while it saves may be in a later part and not in an earlier one: then the records lack a month that is there, and
the sensors ask for it again; the other way round a month would be thought there that is not.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

_CHECKOUT = Path(__file__).resolve().parents[2]
_AS_ADMINISTRATOR = ("exec", "-T", "postgres")
_DATABASES = ("dagster", "taxi")
#: File -> the command that writes it, in the order they are taken. `--format=posix` keeps times to the last digit: with
#: others every object of a folder lake would look new.
_PARTS = {
    "roles.sql": (*_AS_ADMINISTRATOR, "pg_dumpall", "--username=postgres", "--roles-only"),
    **{
        f"{name}.dump": (*_AS_ADMINISTRATOR, "pg_dump", "--username=postgres", "--format=custom", name)
        for name in _DATABASES
    },
    "data.tar.gz": ("exec", "-T", "code", "tar", "--format=posix", "--exclude=./logs", "-C", "/data", "-cz", "."),
}
_CONTENTS = "contents.json"
_PSQL = ("psql", "--no-psqlrc", "--quiet", "--username=postgres", "--dbname=postgres")


class CannotError(Exception):
    """What cannot be done, and what to do instead."""


def save(folder: Path) -> None:
    """Save everything into a folder that is not there yet; only its owner may read it.

    Raises:
        CannotError: The folder will not do, or a part could not be saved. What was saved of it is left as `….partial`.
    """
    if folder.exists():
        raise CannotError(f"{folder} is there already: name another folder, as BACKUP=…")
    if folder.resolve().is_relative_to(_CHECKOUT):
        raise CannotError(f"{folder} is in the checkout, where it would be built into images: name a folder elsewhere")
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(mode=0o700, parents=True)
    contents: dict[str, dict[str, object]] = {}
    for name, command in _PARTS.items():
        with os.fdopen(os.open(partial / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            _compose(*command, doing=f"save {name}", stdout=file)
        contents[name] = {"bytes": (partial / name).stat().st_size, "sha256": _sha256(partial / name)}
        _say(f"{name}: {(partial / name).stat().st_size:,} bytes")
    (partial / _CONTENTS).write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
    (partial / _CONTENTS).chmod(0o600)
    partial.rename(folder)
    _say(f"{folder} has it all but the passwords: keep .env and .secrets too, somewhere else")


def restore(folder: Path, *, replace: bool) -> None:
    """Bring back what `save` has saved, and start everything.

    Args:
        folder: What `save` has written.
        replace: Whether what the deployment holds may be lost.

    Raises:
        CannotError: The backup is not whole, there is something here already, or a part could not be brought back: then
            nothing is started, and it can be done again.
    """
    _require_whole(folder)
    _compose("stop", "daemon", "webserver", "code", doing="stop what uses the databases")
    _compose("up", "--detach", "--wait", "postgres", doing="start PostgreSQL")
    if not replace and (held := _held()):
        raise CannotError(
            f"there is something here already ({held}), which would be lost: say REPLACE=yes if it may be; "
            "`docker compose up --detach --wait` starts again what was stopped"
        )
    _restore_roles(folder / "roles.sql")
    for name in _DATABASES:
        _sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        restoring = ("pg_restore", "--username=postgres", "--create", "--exit-on-error", "--dbname=postgres")
        with (folder / f"{name}.dump").open("rb") as file:
            _compose(*_AS_ADMINISTRATOR, *restoring, doing=f"restore {name}", stdin=file)
        _say(f"{name} is back")
    # Before anything runs that would look for the files.
    in_volume = ("run", "--rm", "-T", "--no-deps", "code")
    clear = ("find", "/data", "-mindepth", "1", "-maxdepth", "1", "!", "-name", "logs", "-exec", "rm", "-r", "{}", "+")
    _compose(*in_volume, *clear, doing="clear /data")
    with (folder / "data.tar.gz").open("rb") as file:
        _compose(*in_volume, "tar", "-C", "/data", "-xz", doing="restore data.tar.gz", stdin=file)
    _say("the files are back")
    # The one-shots among them set the passwords to what the files of this machine say.
    _compose("up", "--detach", "--wait", doing="start everything")
    _say("everything runs again")


def _require_whole(folder: Path) -> None:
    try:
        contents = json.loads((folder / _CONTENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotError(f"{folder} is no backup: {error}") from error
    for name in _PARTS:
        if not (folder / name).is_file() or _sha256(folder / name) != contents.get(name, {}).get("sha256"):
            raise CannotError(f"{folder / name} is not what was saved: take another backup; nothing was changed")


def _held() -> str:
    """What the databases hold of ours; "" if it is nothing."""
    named = ", ".join(f"'{name}'" for name in _DATABASES)
    found = _sql(f"SELECT datname FROM pg_database WHERE datname IN ({named})").split()
    tables = "SELECT count(*) FROM pg_stat_user_tables"
    return ", ".join(f"database {name}" for name in sorted(found) if int(_sql(tables, database=name)))


def _restore_roles(file: Path) -> None:
    """Make the roles and what they are members of; those that are there take on what the backup says of them."""
    with file.open("rb") as roles:
        done = _run((*_AS_ADMINISTRATOR, *_PSQL), stdin=roles)
    wrong = [line for line in done.stderr.splitlines() if "ERROR" in line and not line.endswith("already exists")]
    if done.returncode or wrong:
        raise CannotError(f"the roles could not be restored: {(wrong or [done.stderr.strip()])[0]}")
    _say("the roles are back")


def _sql(statement: str, database: str = "postgres") -> str:
    command = (*_PSQL[:-1], f"--dbname={database}", "--tuples-only", "--no-align", f"--command={statement}")
    return _compose(*_AS_ADMINISTRATOR, *command, doing=f"look into {database}")


def _compose(*command: str, doing: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None) -> str:
    done = _run(command, stdin, stdout)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise CannotError(f"docker compose could not {doing}: {why[0]}")
    return done.stdout or ""


def _run(
    command: tuple[str, ...], stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603 (no shell, and what is said is in this file)
            ("docker", "compose", *command),  # noqa: S607 (wherever it is installed)
            cwd=_CHECKOUT,
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    except OSError as error:
        raise CannotError(f"docker cannot be started: {error}") from error


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Do what was asked.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="backup.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["save", "restore"])
    parser.add_argument("--folder", default="", help="where the backup is, or is to be")
    parser.add_argument("--replace", action="store_true", help="what the deployment holds may be lost")
    given = parser.parse_args(arguments)
    named = time.strftime("taxi_platform-backups/%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    if given.what == "restore" and not given.folder:
        parser.error("which backup? make restore BACKUP=folder")
    folder = Path(given.folder) if given.folder else Path.home() / named
    do: Callable[[], None] = (
        (lambda: save(folder)) if given.what == "save" else lambda: restore(folder, replace=given.replace)
    )
    try:
        do()
    except (CannotError, OSError) as error:
        sys.stderr.write(f"make {'backup' if given.what == 'save' else 'restore'}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
