"""Writes the .env and the secrets that docker-compose.yaml asks for, with passwords nobody has seen.

What is there stays as it is; what is missing is added. Secrets that an older .env holds are moved into their files. It
needs nothing but Python.
"""

import os
import re
import secrets
import sys
from pathlib import Path

#: File of a password -> its name in an older .env.
_PASSWORDS = {
    "postgres_password": "POSTGRES_PASSWORD",
    "dagster_password": "DAGSTER_POSTGRES_PASSWORD",
    "warehouse_password": "WAREHOUSE_PASSWORD",
    "pgadmin_password": "PGADMIN_PASSWORD",
    "login_password": "",
    "broker_password": "",
}
#: Files that say nothing until somebody writes into them -> the setting of the same meaning, if it belongs in no .env.
_EMPTY = {
    "pgpass": "",
    "source": "",
    "warehouse_url": "",
    "alert_urls": "TAXI_ALERT_URLS",
    "gcp_credentials": "TAXI_GCP_CREDENTIALS",
    "aws_credentials": "",
    "azure_account_key": "AZURE_STORAGE_ACCOUNT_KEY",
    "azure_connection_string": "AZURE_STORAGE_CONNECTION_STRING",
    "certificate": "",
    "certificate_key": "",
}
#: Of an account at AWS: what its own file of credentials calls what its variables say.
_OF_AWS = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
}
_FOLDER = ".secrets"
_HEAD = """\
# Made by `make env` for docker-compose.yaml. No password stands here: they are files in SECRETS_DIR. Keep those, and to
# yourself. What you change goes below; docs/deployment.md lists what there is.
"""


def main(path: Path) -> int:
    """Write what is missing.

    Args:
        path: The .env; the secrets are in a folder beside it.

    Returns:
        The exit status: 1 if something is in the way.
    """
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = before.splitlines(keepends=True)
        folder = path.parent / (_value(lines, "SECRETS_DIR") or _FOLDER)
        written = _write_secrets(folder, lines)
        after = _without(lines, folder)
        if not _value(lines, "SECRETS_DIR"):
            after = [_HEAD, f"SECRETS_DIR=./{_FOLDER}\n", *_for_one_core(), *after]
        if "".join(after) != before:
            _replace(path, "".join(after))
        _let_containers_read(Path(__file__).parent)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"make env: {error}\n")
        return 1
    told = f"written: {', '.join(written)}" if written else "all of it was there already"
    sys.stdout.write(f"{path} and {folder}: {told}; next: docker compose up --detach --wait\n")
    return 0


def _write_secrets(folder: Path, lines: list[str]) -> list[str]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    written: list[str] = []
    for name, variable in (_PASSWORDS | _EMPTY).items():
        given = _value(lines, variable) if name != "aws_credentials" else _account_at_aws(lines)
        text = given or (secrets.token_urlsafe(24) if name in _PASSWORDS else "")
        file = folder / name
        if file.exists():
            held = file.read_text(encoding="utf-8").strip()
            if given and held and held != given:
                said = variable or "AWS's account"
                raise ValueError(f"{said} in .env and {file} differ: remove the one that is wrong")
            if held or not given:
                file.chmod(0o600)
                continue
        _replace(file, f"{text}\n" if text else "")
        written.append(name)
    return written


def _without(lines: list[str], folder: Path) -> list[str]:
    """The lines of a .env without secrets; commands on this machine find those that they use too by their files."""
    kept: list[str] = []
    for line in lines:
        name = _assigned(line)
        moved = next((it for it, variable in (_PASSWORDS | _EMPTY).items() if variable and variable == name), None)
        if moved is None:
            kept.append(line)
        elif moved in _EMPTY and _value([line], name):
            kept.append(f"{name}_FILE={folder.absolute() / moved}\n")
    if _account_at_aws(lines):
        kept = [line for line in kept if _assigned(line) not in _OF_AWS.values()]
        kept.append(f"AWS_SHARED_CREDENTIALS_FILE={folder.absolute() / 'aws_credentials'}\n")
    return kept


def _account_at_aws(lines: list[str]) -> str:
    """The account at AWS that a .env names, as AWS's file of credentials has it; "" without one."""
    found = {name: _value(lines, variable) for name, variable in _OF_AWS.items()}
    if not found["aws_secret_access_key"]:
        return ""
    return "\n".join(["[default]", *(f"{name} = {value}" for name, value in found.items() if value)])


def _assigned(line: str) -> str:
    found = re.match(r"\s*(?:export\s+)?(\w+)\s*=", line)
    return found[1] if found else ""


def _value(lines: list[str], variable: str) -> str:
    """What a .env says of a variable, as far as it says it in one line.

    Raises:
        ValueError: It does not.
    """
    value = ""
    for line in lines:
        if variable and _assigned(line) == variable:
            value = line.partition("=")[2].strip()
            quoted = re.fullmatch(r"'([^']*)'|\"([^\"\\$]*)\"", value)
            if quoted:
                value = quoted[1] or quoted[2] or ""
            elif re.search(r"^['\"]|\s#|\$", value):
                raise ValueError(f"{variable} in .env is not read here: write its value into its file, and remove it")
    return value


def _for_one_core() -> list[str]:
    """Docker refuses a container more cores than there are."""
    names = ("POSTGRES_CPUS", "CODE_CPUS") if (os.cpu_count() or 1) < 2 else ()
    return [f"{name}=1\n" for name in names]


def _replace(path: Path, text: str) -> None:
    """Write a file for its owner alone, at once or not at all."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def _let_containers_read(folder: Path) -> None:
    """The files that containers are shown, whatever the umask was when they were checked out; none is secret."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parents[2] / ".env"))
