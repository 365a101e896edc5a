"""Marts follow their months by themselves, look by look: also old ones, each once, and none is ever forgotten."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.assets.marts import mart_key
from taxi_platform.automation.marts import build_marts_sensor, months_behind
from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.month import Month
from taxi_platform.definitions import build_definitions
from taxi_platform.marts import load_marts
from taxi_platform.settings import Settings

CATALOG, ALL = load_catalog(), load_marts()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Looks:
    """The sensor's looks, and what they ask for: first and last month of each run."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.at, self.keys = instance, NOON, set[str]()
        self.repository = build_definitions(Settings.from_env({})).get_repository_def()
        self.sensor = build_marts_sensor(CATALOG, ALL, dg.DefaultSensorStatus.RUNNING, lambda: self.at)

    def look(self) -> list[tuple[str, str]]:
        with dg.build_sensor_context(self.instance, repository_def=self.repository) as context:
            asked = self.sensor.evaluate_tick(context).run_requests or []
        new = [it for it in asked if it.run_key not in self.keys]  # as the daemon does
        self.keys |= {str(it.run_key) for it in new}
        start, end = (f"dagster/asset_partition_range_{it}" for it in ("start", "end"))
        return [(it.tags[start], it.tags[end]) for it in new]

    def load(self, dataset: str, *months: str) -> None:
        self.report(dg.AssetKey(["warehouse", f"{dataset}_trips"]), months)

    def work_out(self, *months: str) -> None:
        for mart in ALL:
            self.report(mart_key(mart), months)

    def report(self, key: dg.AssetKey, months: Sequence[str]) -> None:
        for month in months:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=month))


@pytest.fixture
def looks(tmp_path: Path) -> Generator[Looks, None, None]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "dagster")) as instance:
        yield Looks(instance)


def test_a_month_that_is_loaded_is_asked_for_once_however_old_it_is(looks: Looks) -> None:
    assert looks.look() == [], "nothing is loaded"
    looks.load("yellow", "2009-01", "2021-03", "2021-04")
    assert looks.look() == [("2021-03", "2021-04"), ("2009-01", "2009-01")]
    assert looks.look() == [], "it was asked for"
    looks.work_out("2009-01", "2021-03", "2021-04")
    assert looks.look() == [], "and worked out"


def test_a_month_that_is_loaded_in_the_minute_in_which_it_was_worked_out_is_not_forgotten(looks: Looks) -> None:
    looks.load("green", "2020-04")
    looks.look()
    looks.work_out("2020-04")
    looks.load("green", "2020-04")
    assert looks.look() == [("2020-04", "2020-04")]


def test_a_month_that_could_not_be_worked_out_is_asked_for_again_in_an_hour(looks: Looks) -> None:
    looks.load("green", "2020-04")
    assert looks.look() == [("2020-04", "2020-04")]
    looks.at += timedelta(minutes=59)
    assert looks.look() == []
    looks.at += timedelta(minutes=1)
    assert looks.look() == [("2020-04", "2020-04")]


def test_only_the_marts_of_a_dataset_wait_for_it(looks: Looks) -> None:
    looks.load("fhv", "2020-04")
    for mart in ALL:
        if "payment_type" not in mart.needs:  # of which fhv says nothing
            looks.report(mart_key(mart), ["2020-04"])
    assert looks.look() == []
    looks.load("yellow", "2020-04")
    assert [*months_behind(looks.instance, CATALOG, ALL)] == [Month.parse("2020-04")]


def test_nothing_is_asked_for_while_marts_are_worked_out(looks: Looks) -> None:
    looks.load("green", "2020-04")
    job = looks.repository.get_job("report_job")
    looks.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert looks.look() == []


def test_a_look_at_all_months_there_ever_were_costs_a_few_queries(looks: Looks) -> None:
    months = list(map(str, Month(2009, 1).until(Month(2014, 12))))
    for dataset in CATALOG.trips:
        looks.load(dataset, *months)
    looks.work_out(*months)
    started = time.perf_counter()
    assert looks.look() == []
    assert time.perf_counter() - started < 5, "it is taken once a minute"
