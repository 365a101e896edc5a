"""The environment: what every variable accepts, what a refusal says, and that nothing else reads it."""

from __future__ import annotations

import ast
import base64
import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from taxi_platform.core.errors import SettingsError
from taxi_platform.settings import Settings

ROOT = Path(__file__).parents[1]
VARIABLES = {
    "TAXI_DATA_DIR",
    "TAXI_SOURCE",
    "TAXI_SAMPLE_ROWS",
    "TAXI_LAKE_URL",
    "TAXI_WAREHOUSE_URL",
    "TAXI_GCP_CREDENTIALS",
    "TAXI_ALERT_URLS",
    "TAXI_AUTOMATION",
    "TAXI_UI_URL",
    "TAXI_KEEP_DAYS",
    "TAXI_KEEP_EDITIONS",
}
KEY = '{"type": "service_account", "private_key": "hunter2"}'
HERE = Path.cwd()


def test_an_empty_environment_gives_defaults_that_need_no_account() -> None:
    settings = Settings.from_env({})

    assert settings == Settings()
    assert settings.data_dir == HERE / "data"
    assert settings.source == "web"
    assert settings.sample_rows == 20_000
    assert settings.lake_url == str(HERE / "data" / "lake")
    assert settings.warehouse_url == f"duckdb:///{HERE / 'data' / 'warehouse.duckdb'}"
    assert settings.alert_urls == ()
    assert settings.from_environment == frozenset()


def test_lake_and_warehouse_follow_the_data_folder() -> None:
    settings = Settings.from_env({"TAXI_DATA_DIR": "/srv/taxi"})

    assert settings.lake_url == "/srv/taxi/lake"
    assert settings.warehouse_url == "duckdb:////srv/taxi/warehouse.duckdb"


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("TAXI_DATA_DIR", "/srv/taxi", "data_dir", Path("/srv/taxi")),
        ("TAXI_DATA_DIR", "there", "data_dir", HERE / "there"),
        ("TAXI_DATA_DIR", "~/taxi", "data_dir", Path.home() / "taxi"),
        ("TAXI_SOURCE", "web", "source", "web"),
        ("TAXI_SOURCE", "tlc", "source", "tlc"),
        ("TAXI_SOURCE", "mirror", "source", "mirror"),
        ("TAXI_SOURCE", " sample ", "source", "sample"),
        ("TAXI_SOURCE", "https://example.com/trips", "source", "https://example.com/trips"),
        ("TAXI_SOURCE", "http://localhost:8000", "source", "http://localhost:8000"),
        ("TAXI_SOURCE", "file:///srv/trips", "source", "file:///srv/trips"),
        ("TAXI_SOURCE", "/srv/trips", "source", "/srv/trips"),
        ("TAXI_SAMPLE_ROWS", "1", "sample_rows", 1),
        ("TAXI_SAMPLE_ROWS", "20000000", "sample_rows", 20_000_000),
        ("TAXI_LAKE_URL", "/srv/lake", "lake_url", "/srv/lake"),
        ("TAXI_LAKE_URL", "lake", "lake_url", "lake"),
        ("TAXI_LAKE_URL", "file:///srv/lake", "lake_url", "file:///srv/lake"),
        ("TAXI_LAKE_URL", "gs://bucket", "lake_url", "gs://bucket"),
        ("TAXI_LAKE_URL", "gs://bucket/some/prefix", "lake_url", "gs://bucket/some/prefix"),
        ("TAXI_WAREHOUSE_URL", "duckdb:///w.duckdb", "warehouse_url", "duckdb:///w.duckdb"),
        ("TAXI_WAREHOUSE_URL", "duckdb:////srv/w.duckdb", "warehouse_url", "duckdb:////srv/w.duckdb"),
        ("TAXI_WAREHOUSE_URL", "postgresql://u:p@h:5432/db", "warehouse_url", "postgresql://u:p@h:5432/db"),
        ("TAXI_WAREHOUSE_URL", "postgresql://u:p[1@h/db", "warehouse_url", "postgresql://u:p[1@h/db"),
        ("TAXI_WAREHOUSE_URL", "postgresql:///db?host=/run", "warehouse_url", "postgresql:///db?host=/run"),
        ("TAXI_WAREHOUSE_URL", "postgres://u:p@h/db", "warehouse_url", "postgres://u:p@h/db"),
        ("TAXI_WAREHOUSE_URL", "bigquery://project/dataset", "warehouse_url", "bigquery://project/dataset"),
        ("TAXI_KEEP_DAYS", "0", "keep_days", 0),
        ("TAXI_KEEP_DAYS", "365", "keep_days", 365),
        ("TAXI_KEEP_EDITIONS", "all", "keep_editions", 0),
        ("TAXI_KEEP_EDITIONS", "3", "keep_editions", 3),
        ("TAXI_ALERT_URLS", "slack://a/b  mailto://c", "alert_urls", ("slack://a/b", "mailto://c")),
    ],
)
def test_a_value_that_is_accepted_is_taken(name: str, value: str, attribute: str, expected: object) -> None:
    settings = Settings.from_env({name: value})

    assert getattr(settings, attribute) == expected
    assert settings.from_environment == {name}


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("TAXI_DATA_DIR", "gs://bucket", "a folder"),
        ("TAXI_DATA_DIR", __file__, "a folder"),
        *(
            ("TAXI_SOURCE", value, "web, tlc, mirror, sample, or a base URL or folder")
            for value in (
                "WEB",
                "mirrors",
                "ftp://example.com",
                "https://",
                "file://elsewhere/x",
                "gs://b",
                "https://tlc/trips?at=1",
            )
        ),
        *(
            ("TAXI_SAMPLE_ROWS", value, "a whole number from 1 to 20000000")
            for value in ("0", "-1", "1.5", "many", "1e3", "20000001", "٣", "9" * 5_000)
        ),
        ("TAXI_LAKE_URL", "gs://", "a folder, file:///…, gs://bucket[/prefix]"),
        *(
            ("TAXI_LAKE_URL", value, "s3://bucket[/prefix][?endpoint=…&region=…], or az://container[/prefix]")
            for value in (
                "hdfs://bucket",
                "s3://",
                "s3://My_Bucket/prefix",
                "s3:/bucket",
                "s3//bucket",
                "s3://bucket?endpoint=ftp://host",
                "s3://bucket?endpoint=http://host/path",
                "s3://bucket?region=",
                "s3://bucket?region=a&region=b",
                "s3://bucket?profile=mine",
                "az://",
                "az://no--hyphens",
                "az://container?sv=2024",
            )
        ),
        ("TAXI_LAKE_URL", "gs:/bucket/prefix", "gs://bucket[/prefix]"),
        ("TAXI_LAKE_URL", "gs//bucket/prefix", "gs://bucket[/prefix]"),
        ("TAXI_LAKE_URL", "gs://My Bucket/prefix", "gs://bucket[/prefix]"),
        ("TAXI_LAKE_URL", "gs://bucket/prefix?x", "gs://bucket[/prefix]"),
        ("TAXI_LAKE_URL", __file__, "a folder"),
        *(
            ("TAXI_WAREHOUSE_URL", value, "duckdb:///path, postgresql://…, or bigquery://project/dataset")
            for value in (
                "duckdb://",
                "duckdb:///",
                "duckdb://relative/path",
                "/srv/w.duckdb",
                "mysql://h/db",
                "bigquery://project",
                "bigquery:///dataset",
                "postgresql://",
                "postgres://",
            )
        ),
        *(
            ("TAXI_KEEP_DAYS", value, "a whole number of days, 1 to 36500, or 0 for ever")
            for value in ("-1", "1.5", "ever", "36501", "9" * 50)
        ),
        ("TAXI_ALERT_URLS", "slack", "Apprise URLs separated by blanks"),
        ("TAXI_ALERT_URLS", "slack://a b", "Apprise URLs separated by blanks"),
    ],
)
def test_a_value_that_is_refused_is_named_with_what_is_accepted(name: str, value: str, accepted: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_env({name: value})

    assert f"{name}=" in str(error.value)
    assert accepted in str(error.value)
    assert value.partition("?")[0][:100] in str(error.value) or name == "TAXI_ALERT_URLS"


@pytest.mark.parametrize("name", sorted(VARIABLES))
@pytest.mark.parametrize("empty", ["", "  ", "\t"])
def test_an_empty_value_counts_as_not_set(name: str, empty: str) -> None:
    assert Settings.from_env({name: empty}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TAXI_SOURCE", "ftp://user:hunter2@example.com"),
        ("TAXI_LAKE_URL", "s3://user:hunter2@bucket"),
        ("TAXI_LAKE_URL", "s3://bucket?endpoint=http://user:hunter2@host"),
        ("TAXI_LAKE_URL", "s3://bucket?endpoint=http://host?key=hunter2"),
        ("TAXI_LAKE_URL", "s3://bucket?region=a&secret=hunter2"),
        ("TAXI_LAKE_URL", "az://container?sig=hunter2"),
        ("TAXI_WAREHOUSE_URL", "mysql://user:hunter2@host/db"),
        ("TAXI_WAREHOUSE_URL", "postgresql+psycopg2://user:hunter2@host/db"),
        ("TAXI_WAREHOUSE_URL", "postgresql//user:hunter2@host/db"),
        ("TAXI_WAREHOUSE_URL", "postgresql:/user:hunter2@host/db"),
        ("TAXI_WAREHOUSE_URL", "user:hunter2@host:5432/db"),
        ("TAXI_WAREHOUSE_URL", "host=h password=hunter2"),
        ("TAXI_WAREHOUSE_URL", "postgre://user:hun/ter2@hunter2@host/db"),
        ("TAXI_WAREHOUSE_URL", "mysql://host/db?password=hunter2"),
        ("TAXI_WAREHOUSE_URL", "mysql://host/db?password=a&hunter2"),
        ("TAXI_WAREHOUSE_URL", "mysql://host/db#hunter2"),
        ("TAXI_WAREHOUSE_URL", "mysql://user:hunter2"),
        ("TAXI_WAREHOUSE_URL", "mysql://user@server:hunter2@host/db"),
        ("TAXI_WAREHOUSE_URL", "mysql://us er:hun ter hunter2@host/db"),
        ("TAXI_WAREHOUSE_URL", "mysql://user:a\nhunter2@host/db"),
        ("TAXI_WAREHOUSE_URL", "postgresql//user:/hunter2"),
        ("TAXI_WAREHOUSE_URL", "service=taxi password = 'a hunter2'"),
        ("TAXI_LAKE_URL", "gs:/user:hunter2@bucket"),
        ("TAXI_SOURCE", "http://user:12/hunter2@example.com/trips"),
        ("TAXI_SOURCE", "http://us@er:hunter2@example.com/trips"),
        ("TAXI_SOURCE", "http://user:a hunter2@example.com/trips"),
        ("TAXI_SOURCE", "http://user:a#hunter2@example.com/trips"),
        ("TAXI_WAREHOUSE_URL", "mysql://host/db?user=me&password=hunter2"),
        ("TAXI_ALERT_URLS", "slack://hunter2/b hunter2"),
    ],
)
def test_a_refusal_does_not_tell_the_password(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_env({name: value})

    assert "hunter2" not in str(error.value)
    assert "***" in str(error.value)


@pytest.mark.parametrize(
    "source", ["http://me:s%40cret@example.com/trips", "https://cdn.example.com/trips@v1.0/x", "http://[::1]:8000/x"]
)
def test_an_address_whose_account_can_be_read_in_one_way_only_is_taken(source: str) -> None:
    assert Settings.from_env({"TAXI_SOURCE": source}).source == source


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
@pytest.mark.parametrize("kind", ["postgresql", "postgres"])
def test_a_driver_of_sqlalchemy_in_a_url_is_named(kind: str, driver: str) -> None:
    with pytest.raises(SettingsError, match=rf"the {driver} in it is a driver of SQLAlchemy's.*to postgresql://"):
        Settings.from_env({"TAXI_WAREHOUSE_URL": f"{kind}+{driver}://user@host/db"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TAXI_DATADIR", "TAXI_DATA_DIR"),
        ("TAXI_DATA", "TAXI_DATA_DIR"),
        ("taxi_source", "TAXI_SOURCE"),
        ("TAXI_SOURCES", "TAXI_SOURCE"),
        ("TAXI_WAREHOUSE", "TAXI_WAREHOUSE_URL"),
        ("TAXI_ALERT_URL", "TAXI_ALERT_URLS"),
        ("TAXI_SAMPLE_ROW", "TAXI_SAMPLE_ROWS"),
        ("TAXI_QQQ", "TAXI_"),
    ],
)
def test_a_variable_that_is_none_of_ours_is_named_with_the_one_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=rf"there is no setting {name}\. Cause: did you mean {meant}") as raised:
        Settings.from_env({name: "hunter2"})
    assert "hunter2" not in str(raised.value)


def test_a_variable_in_dot_env_that_is_none_of_ours_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("TAXI_LAKE=/srv/lake\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"no setting TAXI_LAKE\..*TAXI_LAKE_URL.*\.env"):
        Settings.from_env()


@pytest.mark.parametrize(
    "name",
    [
        "TAXI_TEST_GCS_URL",
        "TAXI_SERVICE_HOST",
        "TAXI_PLATFORM_SERVICE_PORT_HTTP",
        "TAXI_PLATFORM_PORT",
        "TAXI_WEBSERVER_PORT_80_TCP_ADDR",
        "TAXICAB",
    ],
)
def test_variables_that_others_set_are_left_alone(name: str) -> None:
    assert Settings.from_env({name: "tcp://10.0.0.1:80"}) == Settings()


def test_a_variable_that_is_none_of_ours_and_empty_is_not_set() -> None:
    assert Settings.from_env({"TAXI_DATADIR": " "}) == Settings()


def test_settings_do_not_show_secrets_when_they_are_printed() -> None:
    settings = Settings.from_env(
        {
            "TAXI_LAKE_URL": "gs://bucket/hunter2",
            "TAXI_WAREHOUSE_URL": "postgresql://user:hunter2@host/db",
            "TAXI_ALERT_URLS": "slack://hunter2/b",
        }
    )

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)


def test_a_source_with_a_password_is_not_shown_when_settings_are_printed() -> None:
    assert "hunter2" not in repr(Settings.from_env({"TAXI_SOURCE": "https://user:hunter2@example.com/trips"}))


def test_settings_tell_which_variables_were_set() -> None:
    settings = Settings.from_env({"TAXI_SOURCE": "sample", "TAXI_ALERT_URLS": "", "HOME": "/root"})

    assert settings.from_environment == {"TAXI_SOURCE"}


def test_settings_read_the_process_environment_when_given_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_SAMPLE_ROWS", "17")

    assert Settings.from_env().sample_rows == 17


def test_the_example_file_names_every_variable_and_tells_its_true_default() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^# (TAXI_[A-Z_]+)=(.*)$", example, flags=re.MULTILINE))

    assert documented.keys() == VARIABLES
    told, actual = Settings.from_env(documented), Settings()
    assert (told.data_dir, told.source, told.sample_rows) == (actual.data_dir, actual.source, actual.sample_rows)
    assert Path(told.lake_url).resolve() == Path(actual.lake_url)
    assert Path(told.warehouse_url.removeprefix("duckdb:///")).resolve() == Path(actual.data_dir / "warehouse.duckdb")
    assert told.alert_urls == actual.alert_urls


@pytest.mark.parametrize("value", [KEY, base64.b64encode(KEY.encode()).decode()])
def test_a_key_of_google_may_be_given_as_it_is_or_in_base64(value: str) -> None:
    settings = Settings.from_env({"TAXI_GCP_CREDENTIALS": value})

    assert settings.gcp_credentials == value
    assert value not in repr(settings)


@pytest.mark.parametrize(
    "value", ["hunter2", '{"private_key": "hunter2"}', '{"type": "hunter2', "/path/hunter2.json", "[]"]
)
def test_a_key_of_google_that_is_none_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(
        SettingsError, match=r"TAXI_GCP_CREDENTIALS='\*\*\*' is not usable.*JSON of its key file"
    ) as raised:
        Settings.from_env({"TAXI_GCP_CREDENTIALS": value})
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("junk", ["!", "\n", " ", "-", "é"])
def test_a_key_of_google_in_base64_with_other_letters_among_it_is_refused_and_not_read_without_them(junk: str) -> None:
    packed = base64.b64encode(KEY.encode()).decode()
    with pytest.raises(SettingsError, match=r"TAXI_GCP_CREDENTIALS='\*\*\*' is not usable") as raised:
        Settings.from_env({"TAXI_GCP_CREDENTIALS": packed[:40] + junk + packed[40:]})
    assert packed[:20] not in "".join(traceback.format_exception(raised.value))


def test_two_ways_to_say_who_google_shall_take_us_for_are_one_too_many() -> None:
    with pytest.raises(SettingsError, match="TAXI_GCP_CREDENTIALS and GOOGLE_APPLICATION_CREDENTIALS are both set"):
        Settings.from_env({"TAXI_GCP_CREDENTIALS": KEY, "GOOGLE_APPLICATION_CREDENTIALS": ""})


def test_settings_know_exactly_the_variables_of_the_design() -> None:
    found = set(re.findall(r'"(TAXI_[A-Z_]+)":', (ROOT / "taxi_platform" / "settings.py").read_text(encoding="utf-8")))

    assert found == VARIABLES


def test_no_other_module_reads_the_environment() -> None:
    readers = {
        path.name
        for path in (ROOT / "taxi_platform").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute | ast.Name | ast.alias))
        and {getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "name", None)}
        & {"environ", "environb", "getenv"}
    }

    assert readers == {"settings.py"}


def test_plain_python_reads_the_dot_env_that_dagster_reads(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TAXI_SAMPLE_ROWS=7\nTAXI_LAKE_URL='gs://bucket'\n")
    code = "from taxi_platform.settings import Settings; it = Settings.from_env(); print(it.sample_rows, it.lake_url)"
    command = [sys.executable, "-c", code]
    environ = {"PYTHONPATH": str(Path(__file__).parents[1]), "TAXI_SAMPLE_ROWS": "8"}
    told = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["7", "gs://bucket"]
