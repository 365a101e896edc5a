"""The house's rules that no reader should have to check by eye."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "taxi_platform"
LARGEST_MODULE = 350
#: What `core` must do without, or must not make everybody pay for.
ABOVE_CORE = {"dagster", "dagster_gcp", "dagster_postgres", "dagster_shared"}
HEAVY = {"google", "boto3", "botocore", "azure", "psycopg", "psycopg2", "pandas", "matplotlib", "sqlalchemy"}

#: Modules that need the client of a store.
STORES = {"gcs", "crc32c", "s3", "s3_reasons", "azure", "azure_reasons", "postgres", "bigquery"}

modules = sorted(PACKAGE.rglob("*.py"))
core_modules = sorted((PACKAGE / "core").rglob("*.py"))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_names(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_only_tests_import_from_the_tests() -> None:
    """What they share with the benchmarks is in `real_servers`."""
    others = [path for folder in (PACKAGE, ROOT / "benchmarks", ROOT / "real_servers") for path in folder.rglob("*.py")]
    assert len(others) > 100
    assert [
        short(it) for it in others if any(name.startswith("taxi_platform_tests") for name in imported_names(it))
    ] == []


@pytest.mark.parametrize("path", core_modules, ids=short)
def test_core_imports_no_dagster_and_nothing_above_itself(path: Path) -> None:
    for name in imported_names(path):
        assert name.partition(".")[0] not in ABOVE_CORE
        assert not name.startswith(".")
        assert not name.startswith("taxi_platform") or name.startswith("taxi_platform.core"), name


def test_importing_core_brings_in_no_dagster_and_no_heavy_client() -> None:
    """The modules of stores that need a client are imported when such a store is opened."""
    of_all = [path for path in core_modules if not STORES & set(path.with_suffix("").parts)]
    imports = "\n".join(f"import {dotted(path)}" for path in of_all)
    shown = subprocess.run(
        [sys.executable, "-c", f"{imports}\nimport sys\nprint('\\n'.join(sys.modules))"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {name.partition(".")[0] for name in shown.stdout.split()}

    assert "taxi_platform" in loaded
    assert loaded & (ABOVE_CORE | HEAVY) == set()


@pytest.mark.parametrize("path", modules, ids=short)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LARGEST_MODULE


@pytest.mark.parametrize("path", modules, ids=short)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", sorted((PACKAGE / "assets").rglob("*.py")), ids=short)
def test_asset_modules_do_not_postpone_annotations(path: Path) -> None:
    # Dagster reads the annotations of `context` and of config classes when an asset is defined.
    assert "__future__" not in set(imported_names(path))
