"""The UI of `make dev` answers people and its own pages: no page of anybody else's, whatever a browser sends."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass

import pytest

from taxi_platform_tests.test_develop import answers, free_port, until
from taxi_platform_tests.test_launch import KEPT, ROOT

pytestmark = pytest.mark.timeout(300)
#: Asks for a change, which is made even where nothing else is there yet.
CHANGE = "mutation { setNuxSeen }"
JSON = {"Content-Type": "application/json"}
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "graphql-ws",
}


@dataclass(frozen=True)
class Ui:
    """Dagster's real UI as `make dev` starts it, on an instance of its own.

    Attributes:
        port: Where it is on this machine; TAXI_UI_URL is https://taxi.example.com/ui.
    """

    port: int

    def ask(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[int, str]:
        """The status and the text of the answer to a request with exactly these headers, and a host."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        own = {"Host": f"localhost:{self.port}"} | ({"Content-Length": str(len(body))} if body else {})
        for name, value in (own | headers).items():
            if value:
                connection.putheader(name, value.replace("PORT", str(self.port)))
        connection.endheaders(body.encode() if body else None)
        answer = connection.getresponse()
        text = "" if answer.status == 101 else answer.read().decode()
        connection.close()
        return answer.status, text

    def change(self, headers: dict[str, str]) -> tuple[int, str]:
        return self.ask("POST", "/graphql", headers, json.dumps({"query": CHANGE}))


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Generator[Ui, None, None]:
    home, port = tmp_path_factory.mktemp("ui"), free_port()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = KEPT | {"DAGSTER_HOME": str(home), "TAXI_UI_URL": "https://taxi.example.com/ui"}
    command = [sys.executable, "-W", "ignore", "-m", "taxi_platform.ui", str(port), "--empty-workspace"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as process:
        try:
            until(lambda: answers(port) or process.poll() is not None)
            assert process.poll() is None
            yield Ui(port)
        finally:
            os.killpg(process.pid, signal.SIGTERM)


@pytest.mark.parametrize(
    "host",
    ["localhost:PORT", "LOCALHOST:PORT", "127.0.0.1:PORT", "[::1]:PORT", "taxi.example.com", "taxi.example.com:443"],
)
def test_a_host_that_is_served_is_answered(ui: Ui, host: str) -> None:
    assert ui.ask("GET", "/server_info", {"Host": host})[0] == 200
    assert ui.change({"Host": host} | JSON) == (200, '{"data":{"setNuxSeen":true}}')


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example.com:PORT",
        "evil.example.com",
        "localhost",
        "localhost:1",
        "localhost.evil.example.com:PORT",
        "127.0.0.1.evil.example.com:PORT",
        "taxi.example.com:PORT",
        "192.0.2.1:PORT",
        "localhost:PORT, evil.example.com",
    ],
)
@pytest.mark.parametrize("path", ["/server_info", "/runs", "/graphql"])
def test_a_host_that_is_not_served_is_turned_away(ui: Ui, host: str, path: str) -> None:
    status, text = ui.ask("GET", path, {"Host": host})
    assert status in (400, 403)
    assert "evil" not in text
    assert ui.ask("GET", path, {"Host": host} | WEBSOCKET)[0] in (400, 403)
    assert ui.change({"Host": host} | JSON)[0] in (400, 403)


def test_who_is_turned_away_is_told_where_the_ui_is_and_which_variable_says_so(ui: Ui) -> None:
    status, text = ui.ask("GET", "/", {"Host": "evil.example.com"})
    assert status == 403
    assert f"http://localhost:{ui.port}" in text
    assert "https://taxi.example.com" in text
    assert "TAXI_UI_URL" in text


@pytest.mark.parametrize("origin", ["http://localhost:PORT", "http://127.0.0.1:PORT", "https://taxi.example.com"])
def test_the_uis_own_pages_may_change_things(ui: Ui, origin: str) -> None:
    own = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert ui.change(own | JSON)[0] == 200
    assert ui.ask("GET", "/graphql", own | WEBSOCKET)[0] == 101


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", "null", "http://localhost:1", "https://localhost:PORT", "http://localhost", "file://"],
)
def test_a_page_of_another_origin_changes_nothing_and_opens_no_websocket(ui: Ui, origin: str) -> None:
    assert ui.change({"Origin": origin} | JSON)[0] == 403
    assert ui.change({"Origin": origin, "Content-Type": "text/plain"})[0] == 403
    assert ui.ask("GET", "/graphql", {"Origin": origin} | WEBSOCKET)[0] == 403
    assert ui.ask("GET", "/server_info", {"Origin": origin})[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_that_names_no_origin_is_turned_away(ui: Ui, site: str) -> None:
    foreign = {"Sec-Fetch-Site": site}
    assert ui.change(foreign | JSON)[0] == 403
    assert ui.ask("GET", "/graphql", foreign | WEBSOCKET)[0] == 403
    assert ui.ask("GET", "/", foreign | {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"})[0] == 403
    assert ui.ask("GET", "/", foreign | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"})[0] == 403
    form = foreign | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Origin": ""}
    assert ui.change(form | JSON)[0] == 403


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "text/plain; application/json", "TEXT/PLAIN", "application/x-www-form-urlencoded"]
)
def test_a_body_that_any_page_may_send_is_turned_away_also_from_a_browser_that_names_no_origin(
    ui: Ui, kind: str
) -> None:
    assert ui.change({"Content-Type": kind})[0] == 403
    assert ui.ask("POST", "/graphql?query=mutation+{setNuxSeen}", {"Content-Type": kind}, " ")[0] == 403
    assert ui.ask("POST", "/report_asset_materialization/a", {"Content-Type": kind}, "{}")[0] == 403


@pytest.mark.parametrize("accepted", ["", "image/*", "*/*"])
def test_an_address_that_any_page_may_load_changes_nothing(ui: Ui, accepted: str) -> None:
    for path in ("/graphql?query=mutation+{setNuxSeen}", "/graphql/?query=mutation+{setNuxSeen}"):
        assert ui.ask("GET", path, {"Accept": accepted})[0] == 403


def test_a_link_in_an_alert_opens_the_ui(ui: Ui) -> None:
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    status, text = ui.ask("GET", "/runs/1", visit | {"Accept": "text/html"})
    assert status == 200
    assert "<html" in text
