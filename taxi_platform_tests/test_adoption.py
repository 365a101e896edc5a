"""The files that let others adopt and contribute say what the project's other files say."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def locked(package: str) -> str:
    found = {it["name"]: it["version"] for it in tomllib.loads(text("uv.lock"))["package"]}
    return found[package]


def test_the_newest_release_of_the_changelog_is_the_version_of_the_package() -> None:
    headings = re.findall(r"^## \[(.+?)\](.*)$", text("CHANGELOG.md"), re.MULTILINE)

    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == PROJECT["project"]["version"] == locked("taxi-platform")
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", date) for _, date in headings[1:])


def test_the_licence_that_the_package_names_is_the_one_in_the_repository() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0, January 2004" in text("LICENSE")
    assert "END OF TERMS AND CONDITIONS" in text("LICENSE")


def test_one_version_of_uv_makes_every_environment() -> None:
    for name in ("Makefile", "Dockerfile"):
        assert re.findall(r"uv==([\d.]+)", text(name)) == [locked("uv")], name
        assert "uv>" not in text(name)


def test_no_package_of_dagsters_goes_past_the_minor_version_whose_parts_are_used() -> None:
    needed = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    ours = [it for it in needed if isinstance(it, str) and it.startswith("dagster")]

    assert len(ours) == 6
    for requirement in ours:
        assert re.fullmatch(r"[a-z-]+>=(1\.13|0\.29)\.27,<(1\.14|0\.30)", requirement), requirement


def test_continuous_integration_calls_what_anybody_can_call() -> None:
    (job,) = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"].values()

    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_git_asks_the_tools_that_make_check_asks() -> None:
    repos = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert [it["repo"] for it in repos] == ["local"]

    for hook in repos[0]["hooks"]:
        program, *rest = hook["entry"].split()
        words = " ".join(it for it in rest if it != "--force-exclude")
        assert f"@{program.replace('.venv/bin', '$(BIN)')} {words}".rstrip() in text("Makefile"), hook["id"]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_every_link_to_a_file_finds_it_and_every_target_of_make_that_is_named_is_there(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    links = [it for it in re.findall(r"\]\(([^)#\s]+)\)", text(name)) if "://" not in it]
    named = set(re.findall(r"`make ([a-z-]+)", text(name)))

    assert [it for it in links if not (ROOT / it).exists()] == []
    assert named <= targets
