"""A port that leads to a server's, by a line that breaks or changes bytes when it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_BLOCK = 1 << 16
_ABOUT = b"HTTP/1.1"


@dataclass
class Fault:
    """What happens once to one connection.

    Attributes:
        after: How many bytes of one direction pass before it does.
        to_server: Whether those from the client are counted, or those of the answers.
        flips: One byte is wrong from there on; without it the line drops.
    """

    after: int
    to_server: bool = True
    flips: bool = False


@dataclass
class Line:
    """The line as a test sees it.

    Attributes:
        target: The server's port.
        port: Where the line begins.
        faults: What is still to happen.
        sent: Bytes that clients have sent.
        received: Bytes that were answered.
    """

    target: int
    port: int = 0
    faults: list[Fault] = field(default_factory=list[Fault])
    sent: int = 0
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def carry(self, client: socket.socket) -> None:
        """Pass on what one connection says, both ways, until either side ends it."""
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            there = threading.Thread(target=self._pass_on, args=(client, server, True))
            there.start()
            self._pass_on(server, client, False)
            there.join()

    def _pass_on(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        passed = 0
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                passed += len(block)
                with self._lock:
                    self.sent += len(block) if to_server else 0
                    self.received += 0 if to_server else len(block)
                    here = (it for it in self.faults if it.to_server == to_server and it.after < passed)
                    # A byte of the object, not of what is said about it: nobody would know where that ends.
                    fault = next((it for it in here if not (it.flips and _ABOUT in block)), None)
                    if fault:
                        self.faults.remove(fault)
                if fault and not fault.flips:
                    break
                target.sendall(block[:-1] + bytes([block[-1] ^ 1]) if fault else block)
        for it in (source, target):
            with suppress(OSError):
                it.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(port: int) -> Generator[Line, None, None]:
    """A line for as long as the block lasts."""
    line, threads = Line(port), list[threading.Thread]()
    with socket.create_server(("127.0.0.1", 0)) as entrance:
        line.port = entrance.getsockname()[1]

        def answer() -> None:
            with suppress(OSError):  # closed
                while True:
                    client, _ = entrance.accept()
                    threads.append(threading.Thread(target=line.carry, args=(client,), daemon=True))
                    threads[-1].start()

        accepting = threading.Thread(target=answer)
        accepting.start()
        try:
            yield line
        finally:
            entrance.shutdown(socket.SHUT_RDWR)
            accepting.join()
