"""`taxi` asked in this process: for what it says, where it is not the point that it is a process of its own."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from taxi_platform.cli.app import app

ROOT = Path(__file__).parents[1]


def typed(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    cwd: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """What a command of `taxi` says and ends with, without a Python of its own to be started for it.

    Args:
        monkeypatch: Takes the environment and the folder back.
        capfd: Hears it, and the processes it starts.
        arguments: The command.
        environment: All of the environment.
        cwd: Where it is asked.
    """
    with monkeypatch.context() as patch:
        for name in os.environ.keys() - environment.keys():
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.chdir(cwd)
        capfd.readouterr()
        try:
            app(list(arguments), prog_name="taxi")
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    said = capfd.readouterr()
    return subprocess.CompletedProcess(["taxi", *arguments], status, said.out, said.err)
