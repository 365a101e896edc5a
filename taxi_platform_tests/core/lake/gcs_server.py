"""Google Cloud Storage on this machine: gcp-storage-emulator, made honest where a lake would notice, and misbehaving
where a test says so.

The emulator knows the API; what it lacks is here: many requests at once, preconditions that are checked in the moment
an object is replaced, reads of one generation, uploads that go on after a broken line, and Google's words for what is
missing. It runs in threads of the test's process, so that a test can look at the requests and break any of them; other
processes reach it through `STORAGE_EMULATOR_HOST`.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from gcp_storage_emulator.handlers import buckets
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

#: Google keeps what arrived of a broken chunk, in steps of this size.
KEPT = 256 << 10


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    size: int

    @property
    def sends_bytes(self) -> bool:
        """Whether it carries an object or a part of one."""
        return self.path.startswith("/upload/") and (self.method == "PUT" or "uploadType=multipart" in self.path)

    @property
    def fetches_bytes(self) -> bool:
        """Whether it asks for an object's bytes."""
        return self.method == "GET" and "alt=media" in self.path


def anything(request: Request) -> bool:
    """Every request."""
    return True


@dataclass
class Fault:
    """How some requests are mistreated.

    Attributes:
        of: Which requests.
        times: How many of them.
        skip: How many of them are treated well before.
        status: They are answered with this status, and nothing is done.
        message: What Google says with it.
        reason: What it gives as the reason.
        flips_a_sent_byte: One byte of the object they send is wrong when it arrives.
        hangs_up_after: The line drops after so many bytes of what they send.
        forgets_to_answer: What they ask is done, but the line drops before they hear of it.
        answers_only: The line drops after so many bytes of the answer's body.
        flips_a_byte: One byte of the answer's body is wrong.
        first: Something to do before they are treated at all.
    """

    of: Callable[[Request], bool] = anything
    times: int = 1
    skip: int = 0
    status: int | None = None
    message: str = "the test wants it so"
    reason: str = ""
    flips_a_sent_byte: bool = False
    hangs_up_after: int | None = None
    forgets_to_answer: bool = False
    answers_only: int | None = None
    flips_a_byte: bool = False
    first: Callable[[], object] | None = None


class HonestStorage(Storage):
    """The emulator's memory, with uploads that can be sent in pieces and again."""

    def __init__(self) -> None:
        super().__init__(use_memory_fs=True)
        self.finished: dict[str, dict[str, Any]] = {}

    def add_to_resumable_upload(
        self, file_id: str, content: bytes, total_size: int | None = None, expected_start: int | None = None
    ) -> bytes | None:
        """Bytes that arrived before are not an error, they are ignored."""
        here = self.get_resumable_byte_count(file_id)
        known = here - (expected_start or 0)
        return super().add_to_resumable_upload(file_id, content[known:] if known >= 0 else content, total_size, here)

    def create_file(
        self, bucket_name: str, file_name: str, content: bytes, file_obj: dict[str, Any], file_id: str | None = None
    ) -> None:
        """Remembers which upload made the object, for those who did not hear that it did."""
        super().create_file(bucket_name, file_name, content, file_obj, file_id)
        if file_id:
            self.finished[file_id] = file_obj


@dataclass
class GoogleStorage:
    """The server as a test sees it.

    Attributes:
        endpoint: What `STORAGE_EMULATOR_HOST` is to be.
        requests: What it was asked, in order.
        faults: How it mistreats requests; the first that fits one counts.
    """

    endpoint: str
    storage: HonestStorage = field(default_factory=HonestStorage)
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def create_bucket(self, name: str) -> None:
        """Make a bucket."""
        with self.lock:
            buckets.create_bucket(name, self.storage)

    def uploads(self) -> list[Request]:
        """The requests that sent bytes of an object."""
        return [request for request in self.requests if request.sends_bytes]

    def downloads(self) -> list[Request]:
        """The requests that asked for an object's bytes."""
        return [request for request in self.requests if request.fetches_bytes]

    def object(self, bucket: str, name: str) -> dict[str, Any]:
        """An object as the API describes it."""
        with self.lock:
            return dict(self.storage.get_file_obj(bucket, name))

    def content(self, bucket: str, name: str) -> bytes:
        """An object's bytes."""
        with self.lock:
            return self.storage.get_file(bucket, name)

    def names(self, bucket: str) -> list[str]:
        """The objects of a bucket."""
        with self.lock:
            return sorted(self.storage.objects.get(bucket, {}))

    def fault_of(self, request: Request) -> Fault:
        """How a request is to be treated."""
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.times and fault.of(request):
                    if fault.skip:
                        fault.skip -= 1
                        break
                    fault.times -= 1
                    return fault
        return Fault()


class Handler(RequestHandler):
    """One request: read, mistreated if a test says so, done under a lock, answered."""

    def __init__(self, google: GoogleStorage, *args: Any) -> None:
        self.google = google
        super().__init__(google.storage, *args)

    def _serve(self, serve: Callable[[], None]) -> None:
        line_in, line_out = self.rfile, self.wfile
        size = int(self.headers.get("Content-Length") or 0)
        fault = self.google.fault_of(Request(self.command, self.path, size))
        with suppress(ConnectionError):  # the client is gone
            body = line_in.read(size if fault.hangs_up_after is None else min(fault.hangs_up_after, size))
            if fault.first:
                fault.first()
            if fault.flips_a_sent_byte:
                at = len(body) * 3 // 4  # of an upload in one request the first part is not the object
                body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
            if len(body) < size or fault.hangs_up_after is not None:
                self._keep_part(body)
            else:
                answer = self._answer(serve, body, fault)
                self.rfile, self.wfile = line_in, line_out
                line_out.write(b"" if fault.forgets_to_answer else _spoilt(answer, fault))
        self.close_connection = True

    def _answer(self, serve: Callable[[], None], body: bytes, fault: Fault) -> bytes:
        self.rfile, self.wfile = io.BytesIO(body), io.BytesIO()
        with self.google.lock:
            if fault.status:
                self._refuse(fault.status, fault.message, fault.reason)
            elif not self._refused():
                serve()
                self._take_class_of_bucket(body)
        return self.wfile.getvalue()

    def _take_class_of_bucket(self, body: bytes) -> None:
        """An object that was sent in one request has its bucket's storage class, unless it names one."""
        if "uploadType=multipart" in self.path:
            about, bucket = _about_in(io.BytesIO(body)), urlsplit(self.path).path.partition("/b/")[2].partition("/")[0]
            made = self.google.storage.objects.get(bucket, {}).get(about.get("name", ""))
            if made and "storageClass" not in about:
                made["storageClass"] = self.google.storage.buckets[bucket]["storageClass"]

    def _refused(self) -> bool:
        """Answer what the emulator would get wrong; False if there is nothing of the kind."""
        path, query = urlsplit(self.path).path, {key: it[-1] for key, it in parse_qs(urlsplit(self.path).query).items()}
        storage = self.google.storage
        finished = storage.finished.get(query.get("upload_id", ""))
        if finished:
            self._say(200, finished)
            return True
        _, _, tail = path.partition("/b/")
        bucket, _, name = tail.partition("/o")
        name = query.get("name") or unquote(name.removeprefix("/"))
        if bucket and bucket not in storage.buckets:
            self._refuse(404, "The specified bucket does not exist.")
            return True
        if "upload_id" in query:
            if query["upload_id"] not in storage.resumable:
                self._refuse(404, "No such upload.")
                return True
            name = storage.resumable[query["upload_id"]]["name"]
        elif "uploadType" in query and not name:
            name = _about_in(self.rfile)["name"]
        held = storage.objects.get(bucket, {}).get(name)
        generation = held["generation"] if held else "0"
        if query.get("ifGenerationMatch", generation) != generation:
            self._refuse(412, "At least one of the pre-conditions you specified did not hold.")
        elif name and "uploadType" not in query and not (held and query.get("generation", generation) == generation):
            self._refuse(404, f"No such object: {bucket}/{name}")
        else:
            return False
        return True

    def _keep_part(self, body: bytes) -> None:
        query = parse_qs(urlsplit(self.path).query)
        with self.google.lock:
            if "upload_id" in query and (part := body[: len(body) // KEPT * KEPT]):
                start = int(self.headers["Content-Range"].removeprefix("bytes ").partition("-")[0])
                self.google.storage.add_to_resumable_upload(query["upload_id"][0], part, None, start)

    def _refuse(self, status: int, message: str, reason: str = "") -> None:
        listed = [{"domain": "global", "reason": reason, "message": message}] if reason else []
        self._say(status, {"error": {"code": status, "message": message, "errors": listed}})

    def _say(self, status: int, told: dict[str, Any]) -> None:
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:  # noqa: N802 (the base class wants these names)
        self._serve(super().do_GET)

    def do_POST(self) -> None:  # noqa: N802
        self._serve(super().do_POST)

    def do_PUT(self) -> None:  # noqa: N802
        self._serve(super().do_PUT)

    def do_DELETE(self) -> None:  # noqa: N802
        self._serve(super().do_DELETE)


def _about_in(body: Any) -> dict[str, Any]:
    """What an upload says of the object it is to make, in its first part; the body can be read again afterwards."""
    text = body.getvalue()
    about, _ = json.JSONDecoder().raw_decode(text[text.index(b"{") :].partition(b"\r\n")[0].decode())
    return about


def _spoilt(answer: bytes, fault: Fault) -> bytes:
    head, blank, body = answer.partition(b"\r\n\r\n")
    if fault.flips_a_byte:
        body = body[:-1] + bytes([body[-1] ^ 1])
    return head + blank + body[: fault.answers_only]


@contextmanager
def running_storage() -> Generator[GoogleStorage, None, None]:
    """A server on a free port, gone with its threads and sockets when the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: None) as http:  # pyright: ignore[reportArgumentType]
        google = GoogleStorage(f"http://127.0.0.1:{http.server_address[1]}")
        http.RequestHandlerClass = partial(Handler, google)
        http.daemon_threads = False  # joined when the block ends
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield google
        finally:
            http.shutdown()
            thread.join()
