"""Writes the .env that docker-compose.yaml asks for, with passwords nobody has seen. Needs nothing but Python."""

import os
import secrets
import sys
from pathlib import Path

_GENERATED = ("POSTGRES_PASSWORD", "DAGSTER_POSTGRES_PASSWORD", "WAREHOUSE_PASSWORD", "PGADMIN_PASSWORD")


def main(path: Path) -> int:
    """Write the file, unless it is there.

    Args:
        path: The file.

    Returns:
        The exit status: 1 if it is there already.
    """
    lines = [
        "# Made by `make env` for docker-compose.yaml. Keep it, and to yourself: the databases are made with it.",
        *(f"{name}={secrets.token_urlsafe(24)}" for name in _GENERATED),
        "PGADMIN_EMAIL=taxi@example.com",
    ]
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        needed = ", ".join((*_GENERATED, "PGADMIN_EMAIL"))
        sys.stderr.write(f"{path} is there already and stays as it is; docker-compose.yaml needs in it: {needed}\n")
        return 1
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    sys.stdout.write(f"{path} is written; next: docker compose up --detach --wait\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parents[2] / ".env"))
