"""Settings that are read from files: what a secret says stands in no environment, and nothing of it in an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxi_platform.core.errors import SettingsError
from taxi_platform.settings import Settings
from taxi_platform_tests.test_settings import VARIABLES

SECRET = "json://hunter2hunter2@localhost/alerts"


def settings(variable: str, content: bytes, folder: Path, **others: str) -> Settings:
    (folder / "it").write_bytes(content)
    return Settings.from_env({variable: str(folder / "it"), **others})


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_setting_is_read_from_the_file_that_its_variable_names(tmp_path: Path, end: str) -> None:
    assert settings("TAXI_ALERT_URLS_FILE", (SECRET + end).encode(), tmp_path).alert_urls == (SECRET,)


def test_a_file_with_nothing_in_it_says_nothing(tmp_path: Path) -> None:
    found = settings("TAXI_WAREHOUSE_URL_FILE", b" \n", tmp_path, TAXI_WAREHOUSE_URL="postgresql://taxi@host/taxi")
    assert found.warehouse_url == "postgresql://taxi@host/taxi"


def test_every_setting_may_be_in_a_file_and_is_read_by_the_same_rules(tmp_path: Path) -> None:
    for name in sorted(VARIABLES):
        assert settings(f"{name}_FILE", b"", tmp_path) == Settings.from_env({})
    with pytest.raises(SettingsError, match="TAXI_SAMPLE_ROWS='many' is not usable"):
        settings("TAXI_SAMPLE_ROWS_FILE", b"many\n", tmp_path)


def test_a_file_of_no_setting_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="there is no setting TAXI_ALERT_URL_FILE"):
        Settings.from_env({"TAXI_ALERT_URL_FILE": "/tmp/it"})


def test_a_variable_and_its_file_that_differ_are_refused_without_a_letter_of_either(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TAXI_ALERT_URLS and TAXI_ALERT_URLS_FILE are both set") as refused:
        settings("TAXI_ALERT_URLS_FILE", SECRET.encode(), tmp_path, TAXI_ALERT_URLS="json://sesame@localhost")
    assert "hunter2" not in str(refused.value)
    assert "sesame" not in str(refused.value)
    assert settings("TAXI_ALERT_URLS_FILE", SECRET.encode(), tmp_path, TAXI_ALERT_URLS=SECRET).alert_urls == (SECRET,)


@pytest.mark.parametrize("what", ["missing", "folder", "pipe", "latin", "large", "NUL", "nobody"])
def test_a_file_that_cannot_be_used_is_told_with_its_variable_and_the_reason(tmp_path: Path, what: str) -> None:
    path = str(tmp_path / "it")
    if what == "folder":
        Path(path).mkdir()
    elif what == "pipe":  # nobody will ever write into it
        os.mkfifo(path)
    elif what == "latin":
        Path(path).write_bytes(b"json://hunter2\xe9@localhost")
    elif what == "large":
        Path(path).write_bytes(b"hunter2 " * 10_000)
    elif what == "NUL":
        path += "\0"
    elif what == "nobody":
        path = "~nobody-of-this-name/it"

    with pytest.raises(SettingsError, match="the file that TAXI_ALERT_URLS_FILE names cannot be used") as refused:
        Settings.from_env({"TAXI_ALERT_URLS_FILE": path})
    assert refused.value.cause
    assert refused.value.fix
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_secret_in_a_file_is_shown_by_its_variables_name_and_reaches_the_processes_of_runs(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text(SECRET + "\n", encoding="utf-8")
    program = """
import json, os
from taxi_platform.resources import build_resources
from taxi_platform.settings import Settings

found = Settings.from_env()
again = Settings.from_env()
shown = build_resources(found)["alerts"].config_schema.default_value
print(json.dumps([found.alert_urls == again.alert_urls, shown["urls"], os.environ["TAXI_ALERT_URLS"]]))
"""
    environ = {"PATH": os.defpath, "HOME": str(tmp_path), "TAXI_ALERT_URLS_FILE": str(tmp_path / "urls")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [True, {"env": "TAXI_ALERT_URLS"}, SECRET]
