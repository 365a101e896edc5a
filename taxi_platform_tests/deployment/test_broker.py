"""The broker of `docker-compose.yaml`, by its own script: it has its password, and remembers."""

import os
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from real_servers.postgres import free_port
from real_servers.valkey import program
from taxi_platform_tests.deployment.compose import ROOT

PASSWORD = 'p"ss\\w:rd #$1'


@contextmanager
def broker(folder: Path, port: int) -> Generator[redis.Redis, None, None]:
    for name in ("bin", "data"):
        (folder / name).mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (folder / "bin" / "valkey-server").symlink_to(program())
    (folder / "password").write_text(PASSWORD)
    environment = {
        "PATH": f"{folder / 'bin'}:{os.defpath}",
        "PASSWORD_FILE": str(folder / "password"),
        "CONFIG": str(folder / "broker.conf"),
        "DATA": str(folder / "data"),
        "PORT": str(port),
    }
    command = ["/bin/sh", ROOT / "deploy" / "compose" / "broker.sh"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            client = redis.Redis(port=port, password=PASSWORD)
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with suppress(redis.ConnectionError):
                    client.ping()
                    break
                time.sleep(0.05)
            shown = Path(f"/proc/{process.pid}/cmdline").read_text()
            assert "valkey-server" in shown
            assert PASSWORD not in shown
            yield client
        finally:
            process.send_signal(signal.SIGKILL)


def test_the_broker_wants_its_password_and_knows_after_a_power_cut_what_it_was_given(tmp_path: Path) -> None:
    port = free_port()
    with broker(tmp_path, port) as client:
        client.lpush("months", "2021-01")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
    with broker(tmp_path, port) as client:
        assert client.lrange("months", 0, -1) == [b"2021-01"]
