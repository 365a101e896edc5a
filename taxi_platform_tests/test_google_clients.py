"""A service account's key reaches Google's clients, and nobody else: no file, no variable, no process, no emulator."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from google.auth.exceptions import DefaultCredentialsError

from taxi_platform.resources import google_clients
from taxi_platform_tests.core.lake.gcs_server import running_storage
from taxi_platform_tests.core.warehouse.bigquery_server import PROJECT, BigQueryServer

ROOT = Path(__file__).parents[1]
CLIENTS = 100
#: Makes clients, and ends at the first variable that is set or file that is written for it.
WATCHED = """
import os, sys
from google.cloud import bigquery, storage
from google.oauth2 import service_account
from taxi_platform.resources import google_clients

def watch(event, arguments):
    if event in ("os.putenv", "tempfile.mkstemp") or (event == "open" and arguments[1] not in (None, "r", "rb")):
        sys.stderr.write(f"{event} {arguments}")
        os._exit(3)

google = google_clients(sys.stdin.read())
sys.addaudithook(watch)
google.storage(), google.bigquery("a-project")
print(google.storage().project is None, google)
"""


@pytest.fixture
def key(bigquery: BigQueryServer, monkeypatch: pytest.MonkeyPatch) -> str:
    text = Path(bigquery.environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text()
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    return text


def test_a_hundred_clients_made_at_the_same_time_are_all_let_in(bigquery: BigQueryServer, key: str) -> None:
    dataset, ready = bigquery.url().rsplit("/", 1)[1], Barrier(CLIENTS)

    def tables(_: int) -> int:
        ready.wait()
        return len(list(google_clients(key).bigquery(PROJECT).list_tables(dataset)))

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert list(pool.map(tables, range(CLIENTS))) == [0] * CLIENTS


def test_a_key_goes_to_a_client_by_no_variable_and_no_file(key: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", WATCHED]
    done = subprocess.run(command, cwd=ROOT, env={}, input=key, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "True ServiceAccount()"


def test_an_emulator_is_shown_no_token(bigquery: BigQueryServer, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = len(bigquery.requests)
    with running_storage() as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.endpoint)
        storage.create_bucket("taxi-lake")
        assert google_clients(key).storage().get_bucket("taxi-lake").name == "taxi-lake"
    assert not [path for _, path in bigquery.requests[asked:] if "token" in path]


@pytest.mark.parametrize("broken", [lambda it: it.replace("BEGIN", "x"), lambda it: it.replace("client_email", "who")])
def test_a_key_that_cannot_be_read_is_told_without_it(key: str, broken: Callable[[str], str]) -> None:
    with pytest.raises(DefaultCredentialsError, match=r"^TAXI_GCP_CREDENTIALS is not a key") as raised:
        google_clients(broken(key)).bigquery(PROJECT)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
