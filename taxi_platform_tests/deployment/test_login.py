"""The deployment's login: the web server's real program with the real Caddyfile, and something behind it."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from taxi_platform_tests.deployment.compose import BIN, ROOT, compose_file, free_port

PASSWORD = "hunter2-hunter2"
ALLOWED = "Basic " + base64.b64encode(f"taxi:{PASSWORD}".encode()).decode()
OWN = {"Authorization": ALLOWED}


class Behind(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 (http.server's name)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("login")


@pytest.fixture(scope="module")
def port(folder: Path) -> Generator[int, None, None]:
    (folder / "password").write_text(PASSWORD)
    (folder / "report" / "marts").mkdir(parents=True)
    (folder / "report" / "marts" / "2021-01.csv").write_text("zone,trips\n")
    (folder / "dagster.db").write_text("what is beside the page")
    port, probe = free_port(), free_port()
    with ThreadingHTTPServer(("127.0.0.1", 0), Behind) as behind:
        threading.Thread(target=behind.serve_forever, daemon=True).start()
        service = compose_file({"SECRETS_DIR": "x"})["services"]["login"]
        here = {
            "LOGIN_PASSWORD_FILE": str(folder / "password"),
            "CADDYFILE": str(ROOT / "deploy" / "compose" / "Caddyfile"),
            "LISTEN_PORT": str(port),
            "LOGIN_PORT": str(port),
            "PROBE": f"127.0.0.1:{probe}",
            "UI": f"127.0.0.1:{behind.server_port}",
            "PGADMIN": f"127.0.0.1:{behind.server_port}",
            "METRICS": f"127.0.0.1:{behind.server_port}",
            "REPORT": str(folder / "report"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PATH": f"{BIN}:{os.defpath}",
            "HOME": str(folder),
        }
        command = ["/bin/sh", ROOT / "deploy" / "compose" / "login.sh"]
        log = (folder / "log").open("wb")
        process = subprocess.Popen(
            command, cwd=folder, env=service["environment"] | here, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_for(f"http://127.0.0.1:{probe}/", process, folder / "log")
            yield port
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
            log.close()
            behind.shutdown()
    assert PASSWORD not in (folder / "log").read_text()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urlopen(url, timeout=5).close()
        except (URLError, OSError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        else:
            return


def ask(port: int, headers: dict[str, str], path: str = "/", method: str = "GET") -> tuple[int, str]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # of its own making
    connection = HTTPSConnection("localhost", port, context=context, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path", ["/", "/graphql", "/pgadmin/", "/pgadmin", "/metrics", "/report/", "/report/marts/2021-01.csv"]
)
@pytest.mark.parametrize("given", ["", "Basic dGF4aTp3cm9uZw==", "Bearer x"])
def test_nobody_gets_to_anything_without_the_password(port: int, path: str, given: str) -> None:
    status, body = ask(port, {"Authorization": given} if given else {}, path)
    assert status == 401
    assert "headers" not in body
    assert "trips" not in body


def test_whoever_has_it_gets_to_all_and_none_is_told_the_password(port: int) -> None:
    for path in ("/runs", "/report_asset_check/", "/pgadmin/browser/", "/metrics"):
        status, body = ask(port, OWN, path)
        assert status == 200
        said = json.loads(body)
        assert said["path"] == path
        assert "authorization" not in said["headers"]
        assert said["headers"].get("x-script-name") == ("/pgadmin" if "pgadmin" in path else None)
        assert said["headers"]["x-forwarded-proto"] == "https"


def test_the_page_and_what_is_below_it_are_shown_and_nothing_beside_it(port: int, folder: Path) -> None:
    status, body = ask(port, OWN, "/report/")
    assert (status, body) == (404, "There is no such page yet: the job report_job makes it.")
    (folder / "report" / "index.html").write_text("<h1>trips</h1>")

    assert ask(port, OWN, "/report/") == (200, "<h1>trips</h1>")
    assert ask(port, OWN, "/report/marts/2021-01.csv") == (200, "zone,trips\n")
    assert ask(port, OWN, "/report")[0] == 302
    for path in ("/report/marts/", "/report/../dagster.db", "/report/%2e%2e/dagster.db", "/report/nothing"):
        status, body = ask(port, OWN, path)
        assert "beside" not in body
        assert status in (400, 404) or "headers" in body, "or it is the UI that is asked"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1", "localhost:1"])
def test_a_request_for_another_host_is_turned_away(port: int, host: str) -> None:
    status, body = ask(port, OWN | {"Host": host})
    assert status in (403, 421)
    assert "headers" not in body


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_site_gets_nothing_done_with_the_browsers_password(
    port: int, headers: dict[str, str], method: str
) -> None:
    status, body = ask(port, OWN | headers, "/graphql", method)
    assert status == 403
    assert "headers" not in body


def test_its_own_pages_and_a_visit_by_a_link_are_let_in(port: int) -> None:
    own = {"Origin": f"https://localhost:{port}", "Sec-Fetch-Site": "same-origin"}
    assert ask(port, OWN | own, "/graphql", "POST")[0] == 200
    assert ask(port, OWN | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})[0] == 200


def test_the_release_that_is_tried_here_is_the_one_that_is_deployed() -> None:
    image = compose_file({"SECRETS_DIR": "x"})["services"]["login"]["image"]
    said = subprocess.run([BIN / "caddy", "version"], capture_output=True, text=True, check=True).stdout
    assert re.match(r"v([\d.]+)", said)[1] == re.search(r":([\d.]+)", image)[1]  # pyright: ignore[reportOptionalSubscript]
