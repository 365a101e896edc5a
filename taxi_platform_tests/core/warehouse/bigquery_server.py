"""A stand-in for BigQuery that Google's own client talks to over HTTP; `bigquery_store.py` says what it emulates.

It serves from a thread, but on a real port, so that other processes reach it too: `BIGQUERY_EMULATOR_HOST` points the
client there, and `GOOGLE_APPLICATION_CREDENTIALS` to a key that was made for it, whose tokens it hands out and asks
for. A load from `gs://` reads from whatever `STORAGE_EMULATOR_HOST` names.

Routes: the token endpoint; `datasets.get`; `tables.get`, `insert`, `patch`, `delete` and `list`; `jobs.get`, `query`,
`getQueryResults` and `insert` (load jobs: from a bucket, or by multipart or resumable upload).
"""

import base64
import json
import os
import re
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from uuid import uuid4

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from taxi_platform_tests.core.warehouse.bigquery_store import RefusedError, Store, as_json

PROJECT = "taxi-stand-in"
LOCATION = "europe-west4"


@dataclass
class BigQueryServer:
    """The stand-in, and the switches of what goes wrong.

    Attributes:
        host: Its URL.
        store: What it keeps; how slow its jobs are and how they fail.
        environment: The variables that point Google's clients to it.
        requests: Method and path of every request so far.
        unavailable: How many of the next requests are answered with 503.
        lost: How many of the next load jobs are accepted without an answer.
        forbidden: Whether the account may do nothing.
        refused: What every request is answered with, if anything.
        hidden: How many of the next looks at jobs that are there find none.
        meanwhile: What somebody else does before the next change of a table arrives.
    """

    host: str
    store: Store
    environment: Mapping[str, str]
    public_key: rsa.RSAPublicKey
    requests: list[tuple[str, str]] = field(default_factory=list)
    unavailable: int = 0
    lost: int = 0
    forbidden: bool = False
    refused: RefusedError | None = None
    hidden: int = 0
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)

    def url(self, dataset: str | None = None, **options: str | int) -> str:
        """The warehouse URL of a fresh dataset."""
        dataset = dataset or f"taxi_{uuid4().hex[:8]}"
        self.store.make_dataset(dataset, LOCATION)
        query = "&".join(f"{key}={value}" for key, value in options.items())
        return f"bigquery://{PROJECT}/{dataset}{'?' if query else ''}{query}"

    def table(self, url: str, name: str) -> dict[str, Any]:
        """A table as the API shows it."""
        return self.store.table(urlsplit(url).path.strip("/"), name)

    def comments(self, url: str, table: str) -> Mapping[str, str]:
        """The descriptions of a table (under the name "") and its columns."""
        resource = self.table(url, table)
        columns = {it["name"]: it.get("description", "") for it in resource["schema"]["fields"]}
        return {"": resource["description"], **columns}

    def jobs(self, kind: str) -> list[dict[str, Any]]:
        """The jobs of a kind (`load`, `query`) so far."""
        return [job for job in self.store.jobs.values() if kind in job["configuration"]]


@contextmanager
def bigquery_server(folder: Path) -> Generator[BigQueryServer, None, None]:
    """Run the stand-in; the environment of this process and its children points to it until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        host = f"http://127.0.0.1:{http.server_port}"
        environment = {
            "BIGQUERY_EMULATOR_HOST": host,
            "GOOGLE_APPLICATION_CREDENTIALS": str(write_key(folder / "key.json", host, key)),
            "NO_GCE_CHECK": "true",  # nobody asks the network whether this is a machine of Google's
            "HTTPS_PROXY": host,  # which knows no way: google-auth asks Google, aside, where an account may be used
        }
        http.stand_in = BigQueryServer(host, Store(folder, PROJECT), environment, key.public_key())  # pyright: ignore[reportAttributeAccessIssue]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            yield http.stand_in  # pyright: ignore[reportAttributeAccessIssue]
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
            http.shutdown()
            thread.join()


def write_key(path: Path, host: str, key: rsa.RSAPrivateKey) -> Path:
    """A service account's key file, as Google's console gives it out."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": pem,
        "client_email": f"loader@{PROJECT}.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{host}/token",
    }
    path.write_text(json.dumps(account), encoding="utf-8")
    return path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer in two packets would wait for the acknowledgement of the first

    def log_message(self, format: str, *args: Any) -> None:
        pass

    @property
    def stand_in(self) -> BigQueryServer:
        return self.server.stand_in  # pyright: ignore[reportAttributeAccessIssue]

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        stand_in, parts = self.stand_in, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, self.query = unquote(parts.path), {key: it[0] for key, it in parse_qs(parts.query).items()}
        stand_in.requests.append((self.command, path))
        try:
            if path == "/token":
                refused = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
                token = self._token(body)
                self._send(200 if token else 400, token or refused)
            else:
                self._require_leave()
                self._route(path, body)
        except RefusedError as error:
            told = {"reason": error.reason, "message": error.message, "domain": "global"}
            self._send(error.status, {"error": {"code": error.status, "message": error.message, "errors": [told]}})

    def _route(self, path: str, body: bytes) -> None:
        for method, pattern, route in _ROUTES:
            if self.command == method and (match := re.fullmatch(pattern, path)):
                route(self, body, *match.groups())
                return
        raise RefusedError(501, "notImplemented", f"the stand-in has no {self.command} {path}")

    def _require_leave(self) -> None:
        stand_in = self.stand_in
        if stand_in.unavailable:
            stand_in.unavailable -= 1
            raise RefusedError(
                503, "backendError", "Error encountered during execution. Retrying may solve the problem"
            )
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in stand_in.tokens:
            raise RefusedError(401, "authError", "Request had invalid authentication credentials")
        if stand_in.refused:
            raise stand_in.refused
        if stand_in.forbidden:
            told = f"Access Denied: Project {PROJECT}: User does not have permission"
            raise RefusedError(403, "accessDenied", told)

    def _token(self, body: bytes) -> dict[str, Any] | None:
        """OAuth for service accounts: a token for who signed with the key (developers.google.com/identity)."""
        signed, _, signature = parse_qs(body.decode())["assertion"][0].rpartition(".")
        padded = signature + "=" * (-len(signature) % 4)
        try:
            self.stand_in.public_key.verify(
                base64.urlsafe_b64decode(padded), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return None
        token = uuid4().hex
        self.stand_in.tokens.add(token)
        return {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}

    def _send(self, status: int, answer: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        body = as_json(answer)
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    # Routes; each is called with the body and the parts of the path.

    def get_dataset(self, body: bytes, dataset: str) -> None:
        self._send(200, self.stand_in.store.dataset(dataset))

    def list_tables(self, body: bytes, dataset: str) -> None:
        self.stand_in.store.dataset(dataset)
        found = [table for (owner, _), table in self.stand_in.store.tables.items() if owner == dataset]
        self._send(200, {"kind": "bigquery#tableList", "tables": found, "totalItems": len(found)})

    def insert_table(self, body: bytes, dataset: str) -> None:
        self._send(200, self.stand_in.store.insert_table(dataset, json.loads(body)))

    def get_table(self, body: bytes, dataset: str, name: str) -> None:
        self._send(200, self.stand_in.store.table(dataset, name))

    def patch_table(self, body: bytes, dataset: str, name: str) -> None:
        etag = self.headers.get("If-Match")
        while self.stand_in.meanwhile:
            self.stand_in.meanwhile.pop()()
        self._send(200, self.stand_in.store.patch_table(dataset, name, json.loads(body), etag))

    def delete_table(self, body: bytes, dataset: str, name: str) -> None:
        self.stand_in.store.delete_table(dataset, name)
        self._send(204, {})

    def get_job(self, body: bytes, job_id: str) -> None:
        job = self.stand_in.store.job(job_id, self.query.get("location"))
        if self.stand_in.hidden:
            self.stand_in.hidden -= 1
            raise RefusedError(404, "notFound", f"Not found: Job {PROJECT}:{job_id}")
        self._send(200, job)

    def insert_job(self, body: bytes) -> None:
        resource = json.loads(body)
        (uri,) = resource["configuration"]["load"]["sourceUris"]
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        path = f"/download/storage/v1/b/{bucket}/o/{quote(key, safe='')}?alt=media"
        answer = requests.get(os.environ["STORAGE_EMULATOR_HOST"] + path, timeout=60)
        if answer.status_code == 404:
            raise RefusedError(404, "notFound", f"Not found: URI {uri}")
        self._accept(resource, answer.content)

    def upload(self, body: bytes) -> None:
        if self.query["uploadType"] == "multipart":
            boundary = self.headers["Content-Type"].partition("boundary=")[2].strip("\"'").encode()
            _, about, file, _ = (
                part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in body.split(b"--" + boundary)
            )
            self._accept(json.loads(about), file)
        else:
            name = uuid4().hex
            self.stand_in.uploads[name] = {"resource": json.loads(body), "bytes": bytearray()}
            self._send(200, {}, {"Location": f"{self.stand_in.host}/upload/sessions/{name}"})

    def continue_upload(self, body: bytes, name: str) -> None:
        session = self.stand_in.uploads[name]
        session["bytes"] += body
        if self.headers["Content-Range"].endswith("/*"):
            self._send(308, {}, {"Range": f"bytes=0-{len(session['bytes']) - 1}"})
        else:
            self._accept(session["resource"], session["bytes"])

    def _accept(self, resource: dict[str, Any], parquet: bytes | bytearray) -> None:
        stand_in = self.stand_in
        path = stand_in.store.folder / f"{uuid4().hex}.parquet"
        path.write_bytes(parquet)
        job = stand_in.store.insert_load(resource, path)
        if stand_in.lost:
            stand_in.lost -= 1
            self.close_connection = True  # the job is there, and nobody hears of it
        else:
            self._send(200, job)

    def run_query(self, body: bytes) -> None:
        self._send(200, self.stand_in.store.query(json.loads(body)))

    def query_results(self, body: bytes, job_id: str) -> None:
        self.stand_in.store.job(job_id, self.query.get("location"))
        start, most = int(self.query.get("pageToken", 0)), int(self.query.get("maxResults", 1_000_000))
        self._send(200, self.stand_in.store.page(job_id, start, most))


_API = f"/bigquery/v2/projects/{PROJECT}"
_ROUTES: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("GET", rf"{_API}/datasets/([^/]+)", _Handler.get_dataset),
    ("GET", rf"{_API}/datasets/([^/]+)/tables", _Handler.list_tables),
    ("POST", rf"{_API}/datasets/([^/]+)/tables", _Handler.insert_table),
    ("GET", rf"{_API}/datasets/([^/]+)/tables/([^/]+)", _Handler.get_table),
    ("PATCH", rf"{_API}/datasets/([^/]+)/tables/([^/]+)", _Handler.patch_table),
    ("DELETE", rf"{_API}/datasets/([^/]+)/tables/([^/]+)", _Handler.delete_table),
    ("GET", rf"{_API}/jobs/([^/]+)", _Handler.get_job),
    ("POST", rf"{_API}/jobs", _Handler.insert_job),
    ("POST", rf"{_API}/queries", _Handler.run_query),
    ("GET", rf"{_API}/queries/([^/]+)", _Handler.query_results),
    ("POST", rf"/upload{_API}/jobs", _Handler.upload),
    ("PUT", r"/upload/sessions/(\w+)", _Handler.continue_upload),
)
