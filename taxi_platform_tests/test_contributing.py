"""What lets others adopt and contribute holds together with what it speaks of."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_newest_release_of_the_changelog_is_the_projects_version() -> None:
    versions = re.findall(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert versions[1][0] == PROJECT["version"]
    assert all(date for _, date in versions[1:])
    kinds = set(re.findall(r"^### (\w+)$", text_of("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_license_is_the_one_the_project_names() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    for name in PROJECT["license-files"]:
        assert "Apache License" in text_of(name)
        assert "Version 2.0, January 2004" in text_of(name)


def test_uv_is_bootstrapped_at_the_version_of_the_lock() -> None:
    (locked,) = re.findall(r'^name = "uv"\nversion = "([^"]+)"', text_of("uv.lock"), re.MULTILINE)
    (pinned,) = re.findall(r"^UV := (\S+)$", text_of("Makefile"), re.MULTILINE)
    assert pinned == locked


def test_contributors_are_told_of_targets_that_are_there() -> None:
    listed = set(
        re.findall(r"^  make (\S+)", subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True).stdout, re.M)
    )
    told = set(re.findall(r"`make ([a-z-]+)", text_of("CONTRIBUTING.md")))
    assert told <= listed
    assert {"check", "test", "bench"} <= told
    for path in re.findall(r"(?:\]\(|`)([\w/]+\.(?:py|md|toml))[)`]", text_of("CONTRIBUTING.md")):
        assert (ROOT / path).exists() or (ROOT / "taxi_platform" / path).exists(), path


def test_the_ci_runs_what_everybody_can_run() -> None:
    (job,) = yaml.safe_load(text_of(".github/workflows/ci.yml"))["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


def test_hooks_are_the_projects_own_tools() -> None:
    (repository,) = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert (ROOT / hook["entry"].split()[0]).exists()
        assert hook["language"] == "system"
