"""No secret is in any log, event, metadata, error or file, whether things go well or not."""

import json
import logging
import tempfile
import traceback
from collections.abc import Generator
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from real_servers.azure import AzureServer
from real_servers.postgres import PASSWORD, PostgresServer
from real_servers.s3 import S3Server
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import TaxiPlatformError, WarehouseError
from taxi_platform.core.month import Month
from taxi_platform.core.source import RetryPolicy, open_source
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.definitions import build_definitions
from taxi_platform.settings import Settings
from taxi_platform_tests.core.lake.gcs_server import GoogleStorage, running_storage
from taxi_platform_tests.core.warehouse.bigquery_server import BigQueryServer

MONTH = "2020-11"


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Generator[GoogleStorage, None, None]:
    with running_storage() as google:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.endpoint)
        google.create_bucket("taxi-lake")
        yield google


def everything_said(
    environment: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[bool, str]:
    """Run a month and the zones on an instance on disk; gives whether it went well, and every byte that was left."""
    given = {"TAXI_DATA_DIR": str(folder / "data"), "TAXI_SOURCE": "sample", "TAXI_SAMPLE_ROWS": "500"} | environment
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "python_logs:\n"
        "  managed_python_loggers: [root, taxi_platform, google, urllib3, botocore, azure]\n"
        "  python_log_level: DEBUG\n"
    )
    monkeypatch.setattr(logging.root, "level", logging.DEBUG)
    said: list[str] = []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        defs = build_definitions(Settings.from_env())
        well = True
        for job, month in (("green_trips_job", MONTH), ("taxi_zones_job", None)):
            result = defs.resolve_job_def(job).execute_in_process(
                instance=instance, partition_key=month, raise_on_error=False
            )
            well = well and result.success
            said.append(json.dumps([str(entry) for entry in instance.all_logs(result.run_id)]))
    said.extend(capfd.readouterr())
    said.extend(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())
    return well, "\n".join(said)


@pytest.mark.parametrize("fails", [False, True])
def test_the_password_of_postgres_is_said_nowhere(
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    fails: bool,
) -> None:
    database = postgres.new_database().rsplit("/", 1)[1]
    password = "planted/wr@ng%hunter2" if fails else PASSWORD
    environment = {"TAXI_WAREHOUSE_URL": postgres.url(database, password=password)}

    well, said = everything_said(environment, tmp_path, monkeypatch, capfd)

    assert well is not fails
    assert not fails or "password authentication failed" in said
    assert password not in said
    assert quote(password, safe="") not in said


@pytest.mark.parametrize(
    ("form", "fails"),
    [
        ("file", False),
        ("JSON", True),
        *(
            pytest.param(*it, marks=pytest.mark.campaign)
            for it in (("file", True), ("JSON", False), ("base64", False), ("base64", True))
        ),
    ],
)
def test_the_key_of_google_is_said_nowhere(
    storage: GoogleStorage,
    bigquery: BigQueryServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    form: str,
    fails: bool,
) -> None:
    key_file = Path(bigquery.environment["GOOGLE_APPLICATION_CREDENTIALS"])
    key = json.loads(key_file.read_text())
    if fails:
        key["token_uri"] = f"{bigquery.host}/nowhere"
    environment = {"TAXI_LAKE_URL": "gs://taxi-lake", "TAXI_WAREHOUSE_URL": bigquery.url()}
    (apart := tmp_path.parent / f"{tmp_path.name}-key").mkdir()
    if form == "file":
        (apart / "key.json").write_text(json.dumps(key))
        environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(apart / "key.json")
    else:
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
        text = json.dumps(key)
        environment["TAXI_GCP_CREDENTIALS"] = text if form == "JSON" else _base64(text)

    well, said = everything_said(environment, tmp_path, monkeypatch, capfd)

    assert well is not fails
    lines = [line for line in key["private_key"].splitlines() if "PRIVATE KEY" not in line]
    assert len(lines) > 10
    assert not [line for line in lines if line in said]
    assert _base64(json.dumps(key))[:100] not in said


@pytest.mark.parametrize("fails", [False, True])
def test_the_key_of_an_s3_is_said_nowhere(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fails: bool
) -> None:
    environment = s3.environment() | {"TAXI_LAKE_URL": s3.url(s3.new_bucket())}
    if fails:
        environment["AWS_SECRET_ACCESS_KEY"] = "planted/hunter2+hunter2"
    well, said = everything_said(environment, tmp_path, monkeypatch, capfd)
    assert well is not fails
    assert not fails or "S3 does not know the credentials" in said
    assert environment["AWS_SECRET_ACCESS_KEY"] not in said


@pytest.mark.parametrize("fails", [False, True])
def test_the_key_of_azure_is_said_nowhere(
    azure: AzureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fails: bool
) -> None:
    key = _base64("hunter2" * 9) if fails else azure.key
    environment = azure.environment(key) | {"TAXI_LAKE_URL": f"az://{azure.new_container()}"}
    well, said = everything_said(environment, tmp_path, monkeypatch, capfd)
    assert well is not fails
    assert not fails or "or its key is another one: AuthorizationFailure" in said
    assert key not in said


def test_a_wrong_password_is_in_no_part_of_an_errors_traceback(postgres: PostgresServer) -> None:
    warehouse = open_warehouse(postgres.url("postgres", password="planted-hunter2"))
    with pytest.raises(WarehouseError, match="password authentication failed") as raised:
        warehouse.read_months(load_catalog().trips["green"], [Month.parse(MONTH)])
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))
    assert "hunter2" not in repr(warehouse)


FORMS = [
    "user@server:hunter2",
    "user:12/hunter2",
    "us er:a hunter2",
    "user:hunter2?x=y",
    "user:12/hunter2?user=y",
    "user:%hunter2",
    "user:%FFhunter2",
    "user:a@hunter2",
    "user:a\nhunter2#",
    ":hunter2",
    "user:'hunter2' host='hunter2",
]


@pytest.mark.parametrize("account", FORMS)
def test_a_password_in_any_form_is_not_in_the_error_of_a_server_that_cannot_be_reached(account: str) -> None:
    said = what_is_said_of(f"postgresql://{account}@127.0.0.1:1/taxi")
    assert "127.0.0.1:1/taxi" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("account", FORMS[:3])
def test_a_password_in_any_form_is_said_nowhere_when_its_server_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], account: str
) -> None:
    environment = {"TAXI_WAREHOUSE_URL": f"postgresql://{account}@127.0.0.1:1/taxi"}
    well, said = everything_said(environment, tmp_path, monkeypatch, capfd)
    assert not well
    assert "127.0.0.1" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "url", ["postgresql://user:hunter2", "postgresql://user:hunter2/taxi", "postgresql://u:1,h:hunter2"]
)
def test_a_password_that_stands_where_a_port_belongs_is_not_said(url: str) -> None:
    assert "hunter2" not in what_is_said_of(url)


#: Letters no sentence of ours or of a library's has side by side, and all that has a meaning somewhere.
TRAPS = st.text("QXZJ7@:/?#%&= '\"\n[],\\", max_size=14)


@given(user=TRAPS, password=TRAPS, is_escaped=st.booleans())
@settings(deadline=None)
def test_no_four_characters_of_a_password_are_said_of_a_server_that_cannot_be_reached(
    user: str, password: str, is_escaped: bool
) -> None:
    account = ":".join(quote(it, safe="") if is_escaped else it for it in (user, password))
    said = what_is_said_of(f"postgresql://{account}@127.0.0.1:1/taxi")
    assert not pieces_of(password) & pieces_of(said.replace(user, "").replace(quote(user, safe=""), ""))


@given(user=TRAPS, password=TRAPS, is_escaped=st.booleans())
@example(user="=/", password="777J", is_escaped=False)
@settings(deadline=None)
def test_no_four_characters_of_a_password_are_said_of_a_source_that_cannot_be_reached(
    user: str, password: str, is_escaped: bool
) -> None:
    account = ":".join(quote(it, safe="") if is_escaped else it for it in (user, password))
    said = what_is_said_of_source(f"http://{account}@127.0.0.1:1/trips")
    assert not pieces_of(password) & pieces_of(said.replace(user, "").replace(quote(user, safe=""), ""))


def what_is_said_of(warehouse: str) -> str:
    """What the settings, or whoever connects, say of a warehouse that is not there."""
    contract = load_catalog().trips["green"]
    with pytest.raises(TaxiPlatformError) as raised:
        url = Settings.from_env({"TAXI_WAREHOUSE_URL": warehouse}).warehouse_url
        open_warehouse(url).read_months(contract, [Month.parse(MONTH)])
    return "".join(traceback.format_exception(raised.value))


def what_is_said_of_source(url: str) -> str:
    """What the settings, or whoever asks, say of a source that is not there."""
    catalog = load_catalog()
    with tempfile.TemporaryDirectory() as folder, pytest.raises(TaxiPlatformError) as raised:
        source = open_source(
            Settings.from_env({"TAXI_SOURCE": url}).source, Path(folder), catalog, 1, RetryPolicy(attempts=1)
        )
        source.probe(catalog.trips["green"], Month.parse(MONTH))
    return "".join(traceback.format_exception(raised.value))


def pieces_of(text: str) -> set[str]:
    """All four characters in a row of a text that are not signs only."""
    return {text[at : at + 4] for at in range(len(text) - 3) if set(text[at : at + 4]) & set("QXZJ")}


def _base64(text: str) -> str:
    from base64 import b64encode

    return b64encode(text.encode()).decode()
