"""What Dagster does not publish is used in one module, where it says why."""

import re
from pathlib import Path

import pytest

from taxi_platform import dagster_internals
from taxi_platform_tests.test_launch import ROOT

_NAME = re.compile(r"dagster\._|dagster_[a-z]+\._")


def test_names_that_dagster_does_not_publish_are_in_one_module() -> None:
    files = [path for path in (ROOT / "taxi_platform").rglob("*.py") if _NAME.search(path.read_text(encoding="utf-8"))]
    assert files == [Path(dagster_internals.__file__)]


def test_every_one_of_them_is_used_and_is_there() -> None:
    told = Path(dagster_internals.__file__).read_text(encoding="utf-8")
    names = set(re.findall(r"\bas (\w+)", told)) | {"run_daemon"}
    others = [it for it in (ROOT / "taxi_platform").rglob("*.py") if it != Path(dagster_internals.__file__)]
    used = "\n".join(path.read_text(encoding="utf-8") for path in others)

    assert len(names) > 15
    for name in names - {"UnresolvedAssetJobDefinition"}:  # for the type checker alone
        assert re.search(rf"\b{name}\b", used), name
        assert getattr(dagster_internals, name) is not None


def test_a_name_that_is_not_there_is_an_error_like_any_modules() -> None:
    with pytest.raises(AttributeError):
        _ = dagster_internals.NoSuchName


def test_the_daemons_look_for_backfills_goes_by_the_constant_that_is_set() -> None:
    from dagster._daemon import backfill, controller

    assert "DEFAULT_DAEMON_INTERVAL_SECONDS" in vars(controller)
    loop = backfill.execute_backfill_iteration_loop
    assert "DEFAULT_DAEMON_INTERVAL_SECONDS" in loop.__code__.co_names + loop.__code__.co_varnames
