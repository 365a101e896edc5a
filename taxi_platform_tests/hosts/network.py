"""Machines that share nothing but a network: spaces of their own for addresses, processes and the host's name."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Host:
    """One machine.

    Attributes:
        name: As it calls itself.
        folder: Its disk, as far as it is anybody's.
        space: Its network's name.
        line: What leads to it.
        process: Its first process, which all of its others end with.
    """

    name: str
    folder: Path
    space: str
    line: str
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def boot(self, environment: Mapping[str, str], *command: str) -> None:
        """Start it, with a command as its first process."""
        self.folder.mkdir(exist_ok=True)
        spaces = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
        named = ["sh", "-c", f'hostname {self.name} && exec "$@"', "sh", *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.space, *spaces, *named],
                cwd=self.folder,
                env=dict(environment),
                stdout=log,
                stderr=log,
            )

    def power_off(self) -> None:
        """End every process of it at once, as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def cut(self) -> None:
        """Nobody reaches it any more, and it reaches nobody."""
        _ip("link", "set", self.line, "down")

    def mend(self) -> None:
        """The line is whole again."""
        _ip("link", "set", self.line, "up")

    def said(self) -> str:
        """What its first process and all others wrote."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def kill(self, pid: int, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one of its processes, which it knows by another number than we do."""
        os.kill(self._processes()[pid], how)

    def has(self, pid: int) -> bool:
        """Whether one of its processes is still there."""
        return pid in self._processes()

    def freeze(self) -> None:
        """Stop every process of it, as a machine without memory does; nobody knows whether it is gone."""
        for it in self._processes().values():
            os.kill(it, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        for it in self._processes().values():
            os.kill(it, signal.SIGCONT)

    def _processes(self) -> dict[int, int]:
        """Its processes: the number each has there, and here."""
        assert self.process is not None
        (first,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        space = Path(f"/proc/{first}/ns/pid").readlink()
        found: dict[int, int] = {}
        for it in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (it / "ns" / "pid").readlink() == space:
                    (line,) = [it for it in (it / "status").read_text().splitlines() if it.startswith("NSpid")]
                    found[int(line.split()[-1])] = int(it.name)
        return found


@dataclass(frozen=True)
class Network:
    """The network.

    Attributes:
        address: This machine's, where the machines find what they share.
        hosts: The machines.
    """

    address: str
    hosts: tuple[Host, ...]


@contextmanager
def network(folder: Path, *names: str) -> Generator[Network, None, None]:
    """Machines by these names, switched off; the test is skipped where this machine refuses to make them."""
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("no machines can be made: there is no ip (iproute2) or no unshare (util-linux)")
    tag = secrets.token_hex(3)
    subnet = f"10.{secrets.randbelow(200) + 32}.{secrets.randbelow(256)}"
    bridge, hosts = f"tx{tag}", list[Host]()
    try:
        try:
            _ip("link", "add", bridge, "type", "bridge")
            _ip("addr", "add", f"{subnet}.1/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            for number, name in enumerate(names):
                host = Host(name, folder / name, f"taxi-{tag}-{name}", f"tx{tag}{number}")
                _ip("netns", "add", host.space)
                hosts.append(host)
                _ip("link", "add", host.line, "type", "veth", "peer", "name", "eth0", "netns", host.space)
                _ip("link", "set", host.line, "master", bridge, "up")
                _ip("-n", host.space, "addr", "add", f"{subnet}.{number + 2}/24", "dev", "eth0")
                _ip("-n", host.space, "link", "set", "eth0", "up")
                _ip("-n", host.space, "link", "set", "lo", "up")
            subprocess.run(
                ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "true"], check=True, capture_output=True
            )
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no machines can be made here: {error.stderr.decode().strip()}")
        yield Network(f"{subnet}.1", tuple(hosts))
    finally:
        for host in hosts:
            host.power_off()
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", host.space)
            with suppress(subprocess.CalledProcessError):  # gone with its space, unless a process lingers there
                _ip("link", "del", host.line)
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", bridge)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
