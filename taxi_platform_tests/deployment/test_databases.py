"""`passwords` and `databases`, the one-shots, on a real PostgreSQL: a start mends what failed and sets what changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL

from real_servers.azure import AzureServer
from real_servers.postgres import PostgresServer, postgres_server
from real_servers.s3 import OWNER, S3Server
from taxi_platform_tests.deployment.compose import ROOT, Deployment, deployment

ODD = {"dagster": "d'\"\\ $(id) :x", "taxi": "-w@/%'; DROP DATABASE taxi; --"}
FILES = {"dagster": "dagster_password", "taxi": "warehouse_password"}


@pytest.fixture
def server() -> Generator[PostgresServer, None, None]:
    with postgres_server(hba_file=str(ROOT / "deploy" / "compose" / "pg_hba.conf")) as server:
        yield server


@pytest.fixture
def taxi(tmp_path: Path, server: PostgresServer) -> Generator[Deployment, None, None]:
    with deployment(tmp_path / "host", server, {}) as taxi:
        yield taxi


def start(taxi: Deployment) -> None:
    for name in ("passwords", "databases"):
        done = taxi.run(name)
        assert done.returncode == 0, done.stderr


def login(server: PostgresServer, user: str, password: str, database: str) -> None:
    psycopg.connect(server.url(database, user=user, password=password)).close()


def set_passwords(taxi: Deployment, passwords: dict[str, str]) -> None:
    for user, password in passwords.items():
        (taxi.folder / "secrets" / FILES[user]).write_text(password + "\n", encoding="utf-8")


def test_each_database_is_for_its_own_user_alone_whatever_is_in_the_password(
    taxi: Deployment, server: PostgresServer
) -> None:
    set_passwords(taxi, ODD)
    start(taxi)

    for user, other in (("dagster", "taxi"), ("taxi", "dagster")):
        login(server, user, ODD[user], user)
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            login(server, user, ODD[user], other)
        # As Dagster and the platform are told of it: by libpq's own file, with no password in any environment.
        passfile = taxi.folder / "passwords" / "platform" / "pgpass"
        url = f"postgresql://{user}@127.0.0.1:{server.port}/{user}"
        psycopg.connect(url, passfile=str(passfile)).close()


def test_a_first_start_that_failed_in_the_middle_is_mended_by_the_next(
    taxi: Deployment, server: PostgresServer
) -> None:
    set_passwords(taxi, ODD)
    assert taxi.run("passwords").returncode == 0
    handed = taxi.folder / "passwords" / "postgres" / "taxi"
    handed.unlink()
    assert taxi.run("databases").returncode, "Dagster's is made, the warehouse is not"

    start(taxi)
    start(taxi)  # and once more, which changes nothing

    for user in ODD:
        login(server, user, ODD[user], user)


def test_a_new_password_counts_from_the_next_start_and_the_old_one_no_longer(
    taxi: Deployment, server: PostgresServer
) -> None:
    start(taxi)
    old = (taxi.folder / "secrets" / "warehouse_password").read_text(encoding="utf-8").strip()
    set_passwords(taxi, {"taxi": "another one"})
    start(taxi)

    login(server, "taxi", "another one", "taxi")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        login(server, "taxi", old, "taxi")


def test_a_database_that_lets_nobody_in_since_its_drop_was_cut_off_is_made_anew(
    taxi: Deployment, server: PostgresServer
) -> None:
    start(taxi)
    server.execute(SQL("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'taxi'"))
    start(taxi)
    login(server, "taxi", (taxi.folder / "passwords" / "postgres" / "taxi").read_text(), "taxi")


@pytest.mark.parametrize("content", ["", "\n", "two\nlines\n", " sesame", "sesame \n", "tab\there", "return\r\n"])
def test_a_password_that_not_everybody_would_read_alike_is_refused_without_being_shown(
    taxi: Deployment, content: str
) -> None:
    (taxi.folder / "secrets" / "warehouse_password").write_bytes(content.encode())
    done = taxi.run("passwords")
    assert done.returncode == 1
    assert "warehouse_password" in done.stderr
    assert not content.strip() or content.strip() not in done.stderr
    assert not (taxi.folder / "passwords" / "postgres").exists(), "nothing is handed out"


def test_a_secret_that_stands_in_the_dot_env_is_refused_by_name(taxi: Deployment) -> None:
    taxi.environ["TAXI_ALERT_URLS"] = "json://hunter2@localhost"
    done = taxi.run("passwords")
    assert done.returncode == 1
    assert "alert_urls" in done.stderr
    assert "hunter2" not in done.stderr


def test_an_account_that_no_container_would_see_is_refused_where_the_lake_needs_it(taxi: Deployment) -> None:
    for lake, variable, file in (
        ("s3://bucket", "AWS_SECRET_ACCESS_KEY", "aws_credentials"),
        ("az://container", "AZURE_STORAGE_ACCOUNT_KEY", "azure_account_key"),
        ("az://container", "AZURE_STORAGE_CONNECTION_STRING", "azure_connection_string"),
    ):
        taxi.environ |= {"TAXI_LAKE_URL": "", variable: "hunter2"}
        assert taxi.run("passwords").returncode == 0, "another program's, for all we know"
        taxi.environ["TAXI_LAKE_URL"] = lake
        done = taxi.run("passwords")
        assert done.returncode == 1
        assert f"make env, which moves it from .env into the file {file}" in done.stderr
        assert "hunter2" not in done.stderr
        (taxi.folder / "secrets" / file).write_text("said here\n")
        assert taxi.run("passwords").returncode == 0


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_the_code_server_finds_the_lakes_account_in_files_and_it_stands_in_no_environment(
    taxi: Deployment, kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "s3":
        s3: S3Server = request.getfixturevalue("s3_process")
        said = f"[default]\naws_access_key_id = {OWNER}\naws_secret_access_key = {s3.keys[OWNER]}\n"
        file, url, secret = "aws_credentials", s3.url(s3.new_bucket()), s3.keys[OWNER]
    else:
        azure: AzureServer = request.getfixturevalue("azure_process")
        said = azure.environment()["AZURE_STORAGE_CONNECTION_STRING"]
        file, url, secret = "azure_connection_string", f"az://{azure.new_container()}", azure.key
    (taxi.folder / "secrets" / file).write_text(said)
    taxi.environ["TAXI_LAKE_URL"] = url
    assert taxi.run("passwords").returncode == 0
    assert not any(secret in value for value in taxi.environ_of("code").values())

    put = "it = lake_of(Settings.from_env()).open(); p = Path(sys.argv[1]); it.put_object('_it', p, sha256_of(p))"
    names = "import sys; from pathlib import Path; from taxi_platform.core.files import sha256_of"
    names += "; from taxi_platform.resources import lake_of; from taxi_platform.settings import Settings"
    program = f"{names}; {put}; print(*it.list_objects('_it'))"
    done = taxi.run("code", "python", "-c", program, str(taxi.folder / "secrets" / "pgpass"))
    assert (done.returncode, done.stdout) == (0, "_it\n"), done.stderr


def test_passwords_are_in_files_of_the_one_user_who_reads_them(taxi: Deployment) -> None:
    start(taxi)
    files = {path: path.stat() for path in (taxi.folder / "passwords").rglob("*") if path.is_file()}
    assert {it.st_mode & 0o777 for it in files.values()} == {0o400}
    if os.getuid() == 0:
        owners = {"postgres": 999, "platform": 10001, "pgadmin": 5050, "login": 10003, "broker": 999}
        assert {path: it.st_uid for path, it in files.items()} == {path: owners[path.parent.name] for path in files}


def test_no_password_is_in_the_servers_log_when_it_refuses_one(taxi: Deployment, server: PostgresServer) -> None:
    start(taxi)
    server.execute(SQL("ALTER SYSTEM SET log_statement = 'all'"))
    server.execute(SQL("ALTER SYSTEM SET log_min_duration_statement = 0"))
    server.execute(SQL("SELECT pg_reload_conf()"))
    set_passwords(taxi, {"taxi": "hunter2hunter2"})
    start(taxi)
    assert "hunter2" not in (server.data / "log").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["elsewhere", "by file", "beside"])
def test_the_warehouse_is_the_one_beside_it_unless_another_is_said(taxi: Deployment, place: str) -> None:
    if place == "elsewhere":
        taxi.environ["TAXI_WAREHOUSE_URL"] = "bigquery://project/taxi"
    elif place == "by file":
        (taxi.folder / "secrets" / "warehouse_url").write_text("postgresql://me:secret@host/taxi\n")
    assert taxi.run("passwords").returncode == 0
    said = (taxi.folder / "passwords" / "platform" / "warehouse_url").read_text().strip()
    beside = f"postgresql://taxi@127.0.0.1:{taxi.ports[5432]}/taxi"
    assert said == {"elsewhere": "", "by file": "postgresql://me:secret@host/taxi", "beside": beside}[place]


@pytest.mark.parametrize("state", ["cut off", "whole", "new", "somebody's"])
def test_a_first_initialisation_that_was_cut_off_is_cleared_and_nothing_else_ever_is(
    tmp_path: Path, state: str
) -> None:
    data = tmp_path / "data"
    folders = {"cut off": ["1"], "whole": ["1", "4", "5"], "new": [], "somebody's": ["1", "16384"]}[state]
    data.mkdir()
    for folder in folders:
        (data / "base" / folder).mkdir(parents=True)
        (data / "base" / folder / "PG_VERSION").write_text("17\n")
        (data / "PG_VERSION").write_text("17\n")
    image = tmp_path / "docker-entrypoint.sh"
    image.write_text('#!/bin/sh\necho "started $@"\n')
    image.chmod(0o755)
    before = sorted(data.rglob("*"))

    script = ROOT / "deploy" / "compose" / "postgres.sh"
    environ = {"PATH": f"{tmp_path}:{os.defpath}", "PGDATA": str(data)}
    done = subprocess.run(["/bin/sh", script, "postgres", "-c", "a=b"], env=environ, capture_output=True, text=True)

    assert done.stdout == "started postgres -c a=b\n"
    assert sorted(data.rglob("*")) == ([] if state == "cut off" else before)
