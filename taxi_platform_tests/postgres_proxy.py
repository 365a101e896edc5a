"""What may stand between a client and its PostgreSQL: something that ends TLS, or a line that breaks."""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: With these bytes a client asks whether it may speak TLS.
_MAY_I_SPEAK_TLS = bytes([0, 0, 0, 8, 4, 210, 22, 47])


@dataclass
class Proxy:
    """A port that leads to a server's.

    Attributes:
        target: The server's port.
        certificate: A file with a certificate and its key: clients may then speak TLS, as to pgbouncer.
        cut_after: Bytes from clients after which the line is cut, once.
        port: Where it listens.
        connections: How many were made through it.
        encrypted: How many of them in TLS.
    """

    target: int
    certificate: Path | None = None
    cut_after: int | None = None
    port: int = 0
    connections: int = 0
    encrypted: int = 0
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, started: threading.Event) -> None:
        """Pass bytes on until it is told to end."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._loop = asyncio.get_running_loop()
        started.set()
        await self._ended.wait()
        server.close()

    def end(self) -> None:
        """Cut every line."""
        self._loop.call_soon_threadsafe(self._ended.set)

    async def _connect(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            first = await client.readexactly(8)
            if self.certificate and first == _MAY_I_SPEAK_TLS:
                to_client.write(b"S")
                await to_client.drain()
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(self.certificate)
                await to_client.start_tls(context)
                self.encrypted += 1
                first = b""
            server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
            to_server.write(first)
            await asyncio.gather(
                self._pass_on(client, to_server, (to_client, to_server), counted=True),
                self._pass_on(server, to_client, (to_client, to_server), counted=False),
            )
        to_client.close()

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        *,
        counted: bool,
    ) -> None:
        try:
            while data := await source.read(65_536):
                if counted and self.cut_after is not None:
                    self.cut_after -= len(data)
                    if self.cut_after < 0:
                        self.cut_after = None
                        for end in both:
                            end.transport.abort()
                        return
                target.write(data)
                await target.drain()
        finally:
            target.close()


@contextmanager
def proxy(
    target: int, *, certificate: Path | None = None, cut_after: int | None = None
) -> Generator[Proxy, None, None]:
    """A proxy for as long as the block lasts; see `Proxy`."""
    it, started = Proxy(target, certificate, cut_after), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(it.serve(started)))
    thread.start()
    started.wait()
    try:
        yield it
    finally:
        it.end()
        thread.join()


def self_signed(path: Path) -> Path:
    """Write a certificate for this machine, and its key, that nobody else has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
