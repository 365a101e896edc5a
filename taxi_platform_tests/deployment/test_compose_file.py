"""docker-compose.yaml, the Dockerfile and `make env`: what can be seen without starting anything."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from taxi_platform_tests.deployment.compose import BIN, COMPOSE_FILE, ROOT, compose_file, write_env
from taxi_platform_tests.test_settings import VARIABLES

PASSWORDS = {"POSTGRES_PASSWORD", "DAGSTER_POSTGRES_PASSWORD", "WAREHOUSE_PASSWORD", "PGADMIN_PASSWORD"}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ONE_SHOT = {"migrate"}


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
    assert len(ports) == 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


def test_every_image_is_of_one_version(services: dict[str, dict[str, Any]]) -> None:
    images = {service["image"] for service in services.values()}
    images |= {image for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) if ":" in image}
    assert len(images) == 5
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
        assert services[name]["healthcheck"]["test"][0] == "CMD", name
        assert services[name]["restart"] == "unless-stopped", name
    assert {services[name]["restart"] for name in ONE_SHOT} == {"no"}
    for name, service in services.items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_our_images_run_as_somebody_who_may_nothing(services: dict[str, dict[str, Any]]) -> None:
    stages = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    last_lines = {name: text.strip().splitlines() for name, text in zip(stages[1::2], stages[2::2], strict=True)}
    for target in ("platform", "gcs"):
        assert next(line for line in reversed(last_lines[target]) if line.startswith("USER")) == "USER taxi"
    assert "useradd --uid 10001 " in DOCKERFILE
    for name, service in services.items():
        if service["image"].startswith("taxi_platform"):
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["init"] is True, name


def test_no_password_has_a_default(environ: dict[str, str]) -> None:
    assert environ.keys() == PASSWORDS | {"PGADMIN_EMAIL"}
    for name in environ:
        with pytest.raises(KeyError, match=f"{name}: run make env first"):
            compose_file(environ | {name: ""})
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    values = re.findall(r"^\s*\w*PASSWORD: (.*)$", text, re.MULTILINE)
    assert len(values) == 6
    assert all(re.fullmatch(r"\$\{\w+:\?run make env first\}", value) for value in values)


def test_the_code_server_is_told_every_setting_and_no_other_service_is(services: dict[str, dict[str, Any]]) -> None:
    told = {
        name: {it for it in service.get("environment", {}) if it.startswith("TAXI_")}
        for name, service in services.items()
    }
    assert told.pop("code") == VARIABLES
    assert set().union(*told.values()) == set()


def test_what_env_says_of_a_setting_reaches_the_code_server(environ: dict[str, str]) -> None:
    said = {name: f"said of {name}" for name in VARIABLES - {"TAXI_DATA_DIR"}}
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
    mounted = {volume.split(":")[0] for service in file["services"].values() for volume in service["volumes"]}
    assert {name for name in mounted if not name.startswith("./")} == file["volumes"].keys()
    files = [ROOT / name for name in mounted if name.startswith("./")]
    assert len(files) == 2
    assert all(path.is_file() for path in files)


def test_the_databases_script_is_executable() -> None:
    """Else the image reads it into its own shell, and `set -u` stays on there."""
    assert (ROOT / "deploy" / "compose" / "databases.sh").stat().st_mode & stat.S_IXOTH


def test_make_env_writes_four_different_passwords_for_its_owner_only(tmp_path: Path, environ: dict[str, str]) -> None:
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert len({environ[name] for name in PASSWORDS}) == len(PASSWORDS)
    # Neither a URL nor compose nor a shell sees anything special in them.
    assert all(re.fullmatch(r"[\w-]{32}", environ[name]) for name in PASSWORDS)


def test_make_env_leaves_a_file_that_is_there_as_it_is(tmp_path: Path, environ: dict[str, str]) -> None:
    before = (tmp_path / ".env").read_bytes()

    again = write_env(tmp_path / ".env")

    assert again.returncode == 1
    assert all(name in again.stderr for name in environ)
    assert not any(environ[name] in again.stderr for name in PASSWORDS)
    assert (tmp_path / ".env").read_bytes() == before


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


@pytest.mark.parametrize("name", ["deploy/compose/workspace.yaml", "deploy/compose/dagster.yaml"])
def test_the_image_has_the_files_its_commands_name(name: str) -> None:
    assert re.search(rf"^COPY {name} (?:{name}|/opt/dagster/dagster.yaml)$", DOCKERFILE, re.MULTILINE)
    assert "!deploy/compose" in (ROOT / ".dockerignore").read_text(encoding="utf-8")
