"""How a PostgreSQL warehouse is reached: whatever libpq's URLs allow, and one clear message where it cannot be."""

import re
import threading
import time
import traceback
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from real_servers.postgres import PASSWORD, USER, PostgresServer, free_port, postgres_server
from taxi_platform.core.errors import WarehouseError
from taxi_platform.core.parquet import ParquetFile
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.core.warehouse.postgres.refusals import turned_away
from taxi_platform.core.warehouse.postgres.session import Session
from taxi_platform_tests.core.warehouse.months import JANUARY, contract_of, month_file, rows_in
from taxi_platform_tests.postgres_proxy import proxy, self_signed

CONTRACT = contract_of()
SECRET = "hunter2hunter2"


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return urlsplit(postgres.new_database()).path.removeprefix("/")


@pytest.fixture
def month(tmp_path: Path) -> ParquetFile:
    return month_file(CONTRACT, JANUARY, [{"trip_number": 1, "note": "Zürich"}], tmp_path / "month")


def write_and_read(url: str, month: ParquetFile) -> None:
    warehouse = open_warehouse(url)
    assert warehouse.replace_month(CONTRACT, JANUARY, month) == 1
    assert rows_in(warehouse.read_months(CONTRACT, [JANUARY]), "trip_number", "note") == [(1, "Zürich")]
    assert warehouse.measure_month(CONTRACT, JANUARY).rows == 1


def at(url: str, port: int) -> str:
    """The same URL with another port."""
    return re.sub(r"@127\.0\.0\.1:\d+/", f"@127.0.0.1:{port}/", url)


@pytest.mark.parametrize("password", [":/?#[]@!$&'()*+,;=% \"\\|^`{}<>~é🚕", "%41", "p:a/s?s#w&o=r%d@h", "' '"])
def test_a_password_may_hold_any_character(
    postgres: PostgresServer, database: str, month: ParquetFile, password: str
) -> None:
    role = sql.Identifier("odd")
    postgres.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
    postgres.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(role, sql.Literal(password), sql.Identifier(USER))
    )
    try:
        write_and_read(postgres.url(database, user="odd", password=password), month)
    finally:
        postgres.execute(sql.SQL("DROP OWNED BY {}").format(role), database)


@pytest.mark.parametrize("mode", ["require", "verify-ca&sslrootcert={root}", "verify-full&sslrootcert={root}"])
def test_rows_are_written_and_read_over_tls(
    postgres: PostgresServer, database: str, month: ParquetFile, tmp_path: Path, mode: str
) -> None:
    root = self_signed(tmp_path / "root.pem")
    with proxy(postgres.port, certificate=root) as tls:
        write_and_read(at(postgres.url(database, options=f"?sslmode={mode.format(root=root)}"), tls.port), month)
    assert tls.encrypted == tls.connections >= 3  # to write, to read and to measure


def test_a_unix_socket_may_be_named_in_the_options(postgres: PostgresServer, database: str, month: ParquetFile) -> None:
    write_and_read(f"postgresql:///{database}?host={postgres.data}&port={postgres.port}&user={USER}", month)


def test_the_short_name_that_libpq_knows_is_as_good(
    postgres: PostgresServer, database: str, month: ParquetFile
) -> None:
    write_and_read(postgres.url(database).replace("postgresql://", "postgres://"), month)


def test_a_unix_socket_may_be_named_as_the_host(postgres: PostgresServer, database: str, month: ParquetFile) -> None:
    write_and_read(f"postgresql://{USER}@{quote(str(postgres.data), safe='')}:{postgres.port}/{database}", month)


def test_the_password_may_be_in_the_environment(
    postgres: PostgresServer, database: str, month: ParquetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    write_and_read(f"postgresql://{USER}@127.0.0.1:{postgres.port}/{database}", month)


def test_the_password_may_be_in_the_password_file(
    postgres: PostgresServer, database: str, month: ParquetFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = tmp_path / "pgpass"
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    passwords.write_text(f"127.0.0.1:{postgres.port}:*:{USER}:{escaped}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    write_and_read(f"postgresql://{USER}@127.0.0.1:{postgres.port}/{database}", month)


def test_of_several_hosts_the_one_that_answers_is_taken(
    postgres: PostgresServer, database: str, month: ParquetFile
) -> None:
    several = f"@127.0.0.1:{free_port()},127.0.0.1:{postgres.port}/"
    write_and_read(re.sub(r"@127\.0\.0\.1:\d+/", several, postgres.url(database)), month)


def test_a_connection_says_who_it_is_and_the_url_may_say_otherwise(postgres: PostgresServer, database: str) -> None:
    url = postgres.url(database)
    shown = sql.SQL(
        "SELECT current_setting('application_name') AS name, current_setting('statement_timeout') AS timeout"
    )
    for options, expected in [
        ("", ("taxi_platform", "0")),
        ("?application_name=nightly&options=-c%20statement_timeout%3D90s", ("nightly", "90s")),
    ]:
        session = Session(url + options, patience=1)
        assert session.run("nothing", lambda connection: connection.execute(shown).fetchall()) == [expected]
        read = session.read("nothing", shown.as_string(), pa.schema([("name", pa.string()), ("timeout", pa.string())]))
        assert tuple(read.to_pylist()[0].values()) == expected


@pytest.mark.parametrize("options", ["", "?client_encoding=LATIN1"])
def test_text_is_itself_in_a_database_of_another_encoding(
    postgres: PostgresServer, month: ParquetFile, options: str
) -> None:
    url = postgres.new_database("ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
    write_and_read(url + options, month)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT note, length(note) FROM taxi.probe_trips").fetchall() == [("Zürich", 6)]


def refusal(url: str, month: ParquetFile, *, may_pass: bool = False) -> str:
    """What is said of a URL that leads nowhere; nothing that is said or shown of it holds the secret."""
    warehouse = open_warehouse(url)
    assert SECRET not in repr(warehouse)
    told: set[str] = set()
    for work in (
        lambda: warehouse.replace_month(CONTRACT, JANUARY, month),
        lambda: warehouse.read_months(CONTRACT, [JANUARY]),
        lambda: warehouse.measure_month(CONTRACT, JANUARY),
    ):
        started = time.monotonic()
        with pytest.raises(WarehouseError) as raised:
            work()
        assert time.monotonic() - started < 3
        assert raised.value.may_pass_later is may_pass
        told.add(re.sub(r"port \d+", "port", str(raised.value)))
        error: BaseException | None = raised.value
        while error is not None:
            assert SECRET not in "".join(traceback.format_exception(error))
            assert SECRET not in repr(error)
            error = error.__cause__ or error.__context__
    (one,) = told
    assert "\n" not in one
    assert "TAXI_WAREHOUSE_URL" in one
    return one


def test_a_wrong_password_is_said(postgres: PostgresServer, database: str, month: ParquetFile) -> None:
    told = refusal(postgres.url(database, password=SECRET), month)
    assert 'password authentication failed for user "loader"' in told
    assert "see that the user and password" in told


def test_no_password_is_said(
    postgres: PostgresServer, database: str, month: ParquetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    told = refusal(f"postgresql://{USER}@127.0.0.1:{postgres.port}/{database}", month)
    assert "put the password into TAXI_WAREHOUSE_URL" in told


def test_an_unknown_user_is_said(postgres: PostgresServer, database: str, month: ParquetFile) -> None:
    # Asked for a password, the server does not tell who it knows.
    told = refusal(postgres.url(database, user="nobody", password=SECRET), month)
    assert 'password authentication failed for user "nobody"' in told
    told = refusal(f"postgresql:///{database}?host={postgres.data}&port={postgres.port}&user=nobody", month)
    assert 'role "nobody" does not exist' in told
    assert "create the user" in told


def test_an_unknown_database_is_said(postgres: PostgresServer, month: ParquetFile) -> None:
    told = refusal(postgres.url("nowhere"), month)
    assert 'database "nowhere" does not exist' in told
    assert "createdb" in told


def test_an_unknown_host_is_said(month: ParquetFile) -> None:
    told = refusal(f"postgresql://loader:{SECRET}@nowhere.invalid/taxi", month, may_pass=True)
    assert "see that the host in TAXI_WAREHOUSE_URL is right" in told


def test_a_port_nobody_listens_on_is_said(month: ParquetFile) -> None:
    told = refusal(f"postgresql://loader:{SECRET}@127.0.0.1:{free_port()}/taxi", month, may_pass=True)
    assert "refused" in told
    assert "see that the host, port and options in TAXI_WAREHOUSE_URL are right and the server is running" in told


def test_a_server_without_tls_is_said_where_tls_is_required(
    postgres: PostgresServer, database: str, month: ParquetFile
) -> None:
    told = refusal(postgres.url(database, options="?sslmode=require"), month)
    assert "does not support SSL" in told
    assert "give the server a certificate" in told


def test_a_certificate_that_somebody_else_signed_is_said(
    postgres: PostgresServer, database: str, month: ParquetFile, tmp_path: Path
) -> None:
    other = self_signed(tmp_path / "other.pem")
    with proxy(postgres.port, certificate=self_signed(tmp_path / "its.pem")) as tls:
        for root in (other, tmp_path / "missing.pem"):
            url = at(postgres.url(database, options=f"?sslmode=verify-ca&sslrootcert={root}"), tls.port)
            assert "Fix: see that sslrootcert in TAXI_WAREHOUSE_URL" in refusal(url, month)


@pytest.mark.parametrize(
    "credentials",
    [
        f"loader:{SECRET}%zz",
        f"loader:{SECRET}%",
        f"loader:%{SECRET}",
        f"loader:a/{SECRET}",
        f"loader:{SECRET}/b",
        f"loader:1234/{SECRET}",
        f"loader:a@{SECRET}",
        f"loader:a/b?{SECRET}",
        f"loader:a/b?{SECRET}=1",
        f"loader:a/b?c=1&{SECRET}%zz",
    ],
)
def test_a_password_that_was_not_escaped_is_said_and_not_shown(month: ParquetFile, credentials: str) -> None:
    told = refusal(f"postgresql://{credentials}@127.0.0.1/taxi", month)
    assert "the URL is none that PostgreSQL's clients understand" in told
    assert "%25 for a %" in told


def test_an_option_that_libpq_does_not_know_is_said(month: ParquetFile) -> None:
    told = refusal(f"postgresql://u:{SECRET}@127.0.0.1/taxi?nope=1", month)
    assert "PostgreSQL's clients know no option nope" in told
    assert "TAXI_WAREHOUSE_URL" in told
    assert 'invalid sslmode value: "nope"' in refusal(f"postgresql://u:{SECRET}@127.0.0.1/taxi?sslmode=nope", month)


def test_a_server_that_has_no_connection_left_is_asked_again(tmp_path: Path, month: ParquetFile) -> None:
    with postgres_server(max_connections="3", superuser_reserved_connections="1", max_wal_senders="0") as server:
        url = server.new_database()
        others = [psycopg.connect(url) for _ in range(2)]
        ended = threading.Timer(0.5, lambda: [other.close() for other in others])
        ended.start()
        assert open_warehouse(url).replace_month(CONTRACT, JANUARY, month) == 1
        ended.join()


@pytest.mark.parametrize(
    ("answer", "may_pass"),
    [
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  the database system is shutting down", True),
        ("FATAL:  the database system is not yet accepting connections", True),
        ('FATAL:  too many connections for role "loader"', True),
        ('FATAL:  too many connections for database "taxi"', True),
        ("FATAL:  no more connections allowed (max_client_conn)", True),  # PgBouncer's
        ("FATAL:  server login has been failing, try again later (server_login_retry)", True),  # likewise
        ("connection timeout expired", True),
        ("server closed the connection unexpectedly", True),
        ("could not receive data from server: Connection reset by peer", True),
        ("No such file or directory Is the server running locally and accepting connections on that socket?", True),
        ("failed to resolve host 'db': [Errno -3] Temporary failure in name resolution", True),
        ("server is in hot standby mode", True),
        ('FATAL:  password authentication failed for user "loader"', False),
        ('FATAL:  Peer authentication failed for user "loader"', False),
        ('FATAL:  database "nowhere" does not exist', False),
        ('FATAL:  role "nobody" does not exist', False),
        ('FATAL:  role "nobody" is not permitted to log in', False),
        ('FATAL:  permission denied for database "taxi"', False),
        ('FATAL:  database "taxi" is not currently accepting connections', False),
        ("FATAL:  no pg_hba.conf entry for host", False),
        ("SSL error: certificate verify failed", False),
        ('invalid sslmode value: "nope"', False),
    ],
)
def test_of_a_connection_that_does_not_come_about_what_waiting_mends_may_pass_and_nothing_else(
    answer: str, may_pass: bool
) -> None:
    assert turned_away(f"connection failed: {answer}")[1] is may_pass


def test_of_several_hosts_one_that_was_away_may_be_back_but_one_host_of_two_addresses_is_one() -> None:
    attempt = "- host: '{}', port: '5432', hostaddr: '{}': connection failed: {} "
    refused, wrong = "Connection refused", 'FATAL: password authentication failed for user "loader"'
    two_hosts = attempt.format("a", "10.0.0.1", refused) + attempt.format("b", "10.0.0.2", wrong)
    assert turned_away(f"connection failed: {wrong} All failures were: {two_hosts}")[1]
    one_host = attempt.format("localhost", "::1", refused) + attempt.format("localhost", "127.0.0.1", wrong)
    assert not turned_away(f"connection failed: {wrong} All failures were: {one_host}")[1]


def test_a_server_that_is_away_for_one_host_of_two_may_be_back(
    postgres: PostgresServer, database: str, month: ParquetFile
) -> None:
    several = f"@127.0.0.1:{free_port()},127.0.0.1:{postgres.port}/"
    url = re.sub(r"@127\.0\.0\.1:\d+/", several, postgres.url(database, password=SECRET))
    with pytest.raises(WarehouseError, match="password authentication failed") as raised:
        open_warehouse(url).replace_month(CONTRACT, JANUARY, month)
    assert raised.value.may_pass_later
    with pytest.raises(WarehouseError, match="password authentication failed") as raised:
        open_warehouse(postgres.url(database, password=SECRET)).replace_month(CONTRACT, JANUARY, month)
    assert not raised.value.may_pass_later


@pytest.mark.parametrize(
    ("state", "may_pass"),
    [
        ("08006", True),
        ("08P01", False),
        ("40001", True),
        ("40P01", True),
        ("53200", True),
        ("53300", True),
        ("55P03", True),
        ("57P01", True),
        ("57P03", True),
        ("28P01", False),
        ("3D000", False),
        ("42501", False),
        ("42P01", False),
        ("53100", False),
        ("57014", False),
        ("57P04", False),
        ("25006", False),
        ("XX001", False),
    ],
)
def test_in_the_middle_of_the_work_the_servers_code_says_what_may_pass(
    postgres: PostgresServer, database: str, state: str, may_pass: bool
) -> None:
    session = Session(postgres.url(database), patience=1)
    # The words are those of another kind: only the code counts.
    raising = sql.SQL("DO $$ BEGIN RAISE 'password authentication failed' USING ERRCODE = {}; END $$").format(state)
    with pytest.raises(WarehouseError) as raised:
        session.run("nothing was done", lambda connection: connection.execute(raising))
    assert raised.value.may_pass_later is may_pass


def test_a_reader_that_the_server_leaves_may_come_again(tmp_path: Path) -> None:
    with postgres_server() as server:
        session = Session(server.new_database(), patience=1)
        session.run("nothing", lambda connection: connection.execute("SELECT 1"))
        server.stop()
        with pytest.raises(WarehouseError, match="refused") as raised:
            session.read("the rows could not be read", "SELECT 1 AS one", pa.schema([("one", pa.int32())]))
        assert raised.value.may_pass_later
