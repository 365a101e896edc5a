"""`make backup` and `make restore`: what is saved here comes back there, where nothing is, and is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL

from real_servers.postgres import PostgresServer, postgres_server
from taxi_platform_tests.deployment import docker
from taxi_platform_tests.deployment.compose import ROOT, Deployment, deployment

ANALYST = "an analyst's own"
SETTINGS = {"TAXI_SOURCE": "sample", "TAXI_SAMPLE_ROWS": "300", "TAXI_AUTOMATION": "off"}


@contextmanager
def machine(folder: Path) -> Generator[tuple[Deployment, PostgresServer], None, None]:
    """A machine with the deployment's files, and its PostgreSQL."""
    with (
        postgres_server(hba_file=str(ROOT / "deploy" / "compose" / "pg_hba.conf")) as server,
        deployment(folder, server, {}, **SETTINGS) as taxi,
    ):
        start(taxi, "passwords")
        yield taxi, server


def start(taxi: Deployment, *names: str) -> None:
    for name in names:
        done = taxi.run(name)
        assert done.returncode == 0, done.stderr


def make(taxi: Deployment, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Do what `make backup` and `make restore` do, with `docker` as it is here."""
    programs = taxi.folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "docker").write_text(f'#!/bin/sh\nexec {sys.executable} {docker.__file__} "$@"\n')
    (programs / "docker").chmod(0o755)
    services = {name: taxi.environ_of(name) for name in ("code", "postgres")}
    place = {"services": services, "data": str(taxi.folder / "data"), "calls": str(taxi.folder / "calls")}
    (taxi.folder / "place.json").write_text(json.dumps(place))
    environ = {"PATH": f"{programs}:{os.defpath}", "STAND_IN": str(taxi.folder / "place.json")}
    command = [sys.executable, ROOT / "deploy" / "compose" / "backup.py", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)


def rows(server: PostgresServer, database: str, query: str) -> list[tuple[object, ...]]:
    return server.execute(SQL(query), database)  # pyright: ignore[reportArgumentType]


def held(taxi: Deployment, server: PostgresServer) -> dict[str, object]:
    """All that a backup is for."""
    data = taxi.folder / "data"
    files = [path for path in data.rglob("*") if path.is_file() and "logs" not in path.parts]
    return {
        "rows": rows(server, "taxi", "SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM taxi.green_trips t"),
        "runs": rows(server, "dagster", "SELECT run_id, status FROM runs ORDER BY run_id"),
        "events": rows(server, "dagster", "SELECT count(*), max(id) FROM event_logs"),
        "acl": rows(
            server,
            "taxi",
            "SELECT datname, unnest(datacl)::text FROM pg_database WHERE datname IN ('taxi', 'dagster') ORDER BY 1, 2",
        ),
        "files": {str(it.relative_to(data)): (it.read_bytes(), it.stat().st_mtime_ns) for it in files},
    }


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Deployment, PostgresServer], None, None]:
    """A machine with a month in it, and somebody who may read it."""
    with machine(tmp_path_factory.mktemp("here") / "host") as (taxi, server):
        start(taxi, "databases", "migrate")
        job = ["dagster", "job", "execute", "-m", "taxi_platform.definitions", "-j", "green_trips_job"]
        done = taxi.run("code", *job, "--tags", json.dumps({"dagster/partition": "2020-01"}))
        assert done.returncode == 0, done.stderr
        server.execute(SQL("CREATE ROLE analyst LOGIN PASSWORD {}").format(ANALYST))
        server.execute(SQL("GRANT CONNECT ON DATABASE taxi TO analyst"))
        server.execute(SQL("GRANT USAGE ON SCHEMA taxi TO analyst"), "taxi")
        server.execute(SQL("GRANT SELECT ON ALL TABLES IN SCHEMA taxi TO analyst"), "taxi")
        (taxi.folder / "data" / "logs").mkdir(exist_ok=True)
        (taxi.folder / "data" / "logs" / "a run's").write_text("what it printed")
        yield taxi, server


@pytest.fixture(scope="module")
def backup(here: tuple[Deployment, PostgresServer]) -> Path:
    folder = here[0].folder / "backups" / "of today"
    done = make(here[0], "save", "--folder", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_what_is_restored_into_nothing_is_what_was_saved(
    tmp_path: Path, here: tuple[Deployment, PostgresServer], backup: Path
) -> None:
    with machine(tmp_path / "there") as (taxi, server):
        done = make(taxi, "restore", "--folder", backup)
        assert done.returncode == 0, done.stderr
        calls = (taxi.folder / "calls").read_text()
        assert calls.index("stop daemon webserver code") < calls.index("pg_restore"), "nobody uses what comes back"
        assert calls.rindex("tar -C") < calls.rindex("up --detach --wait\n"), "nor looks for files that are not there"

        assert held(taxi, server) == held(*here)
        with psycopg.connect(server.url("taxi", user="analyst", password=ANALYST)) as con:
            assert con.execute("SELECT count(*) FROM taxi.green_trips").fetchone() != (0,)
        # The one-shots, which run at the start that follows, set the passwords of this machine.
        start(taxi, "databases")
        for user, file in (("taxi", "warehouse_password"), ("dagster", "dagster_password")):
            password = (taxi.folder / "secrets" / file).read_text().strip()
            psycopg.connect(server.url(user, user=user, password=password)).close()


def test_a_backup_is_for_its_owner_alone_and_holds_no_password(
    here: tuple[Deployment, PostgresServer], backup: Path
) -> None:
    assert backup.stat().st_mode & 0o777 == 0o700
    assert {it.stat().st_mode & 0o777 for it in backup.iterdir()} == {0o600}
    passwords = [it.read_bytes().strip() for it in (here[0].folder / "secrets").iterdir()]
    for file in backup.iterdir():
        assert not any(it in file.read_bytes() for it in passwords if it), file


def test_what_is_here_is_lost_only_if_somebody_says_so(here: tuple[Deployment, PostgresServer], backup: Path) -> None:
    taxi, server = here
    before = held(taxi, server)
    server.execute(SQL("DELETE FROM taxi.green_trips"), "taxi")
    (taxi.folder / "data" / "newer").write_text("than the backup")

    done = make(taxi, "restore", "--folder", backup)
    assert done.returncode == 1
    assert "database dagster, database taxi" in done.stderr
    assert "REPLACE=yes" in done.stderr
    assert rows(server, "taxi", "SELECT count(*) FROM taxi.green_trips") == [(0,)], "nothing was touched"

    done = make(taxi, "restore", "--folder", backup, "--replace")
    assert done.returncode == 0, done.stderr
    assert held(taxi, server) == before
    assert (taxi.folder / "data" / "logs" / "a run's").exists()


@pytest.mark.parametrize("part", ["taxi.dump", "roles.sql", "data.tar.gz", "contents.json"])
def test_a_backup_that_is_damaged_is_refused_before_anything_is_touched(
    tmp_path: Path, here: tuple[Deployment, PostgresServer], backup: Path, part: str
) -> None:
    taxi, _ = here
    (damaged := tmp_path / "damaged").mkdir()
    for it in backup.iterdir():
        (damaged / it.name).write_bytes(it.read_bytes()[: -1 if it.name == part else None])
    if part == "contents.json":
        (damaged / part).unlink()
    (taxi.folder / "calls").write_text("")
    done = make(taxi, "restore", "--folder", damaged, "--replace")
    assert done.returncode == 1
    assert str(damaged) in done.stderr
    assert (taxi.folder / "calls").read_text() == ""


def test_a_backup_goes_into_a_new_folder_that_is_not_in_the_checkout(here: tuple[Deployment, PostgresServer]) -> None:
    taxi, _ = here
    for folder in (ROOT / "backup", taxi.folder):
        done = make(taxi, "save", "--folder", folder)
        assert done.returncode == 1
        assert str(folder) in done.stderr
        assert "elsewhere" in done.stderr or "another folder" in done.stderr
    assert not (ROOT / "backup.partial").exists()


def test_a_backup_that_fails_in_the_middle_is_none_and_says_what_failed(
    here: tuple[Deployment, PostgresServer],
) -> None:
    taxi, _ = here
    data, away = taxi.folder / "data", taxi.folder / "away"
    data.rename(away)
    try:
        done = make(taxi, "save", "--folder", taxi.folder / "half")
    finally:
        away.rename(data)
    assert done.returncode == 1
    assert "docker compose could not save data.tar.gz" in done.stderr
    assert not (taxi.folder / "half").exists()
