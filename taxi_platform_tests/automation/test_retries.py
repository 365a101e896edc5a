"""What is tried again and what is not, by the step and by the run: with a real server that misbehaves as it is told."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.automation.jobs import RETRIES, build_jobs
from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.core.month import Month
from taxi_platform.core.source import RetryPolicy, Source
from taxi_platform.core.source.sample import write_month
from taxi_platform.definitions import build_definitions
from taxi_platform.resources import SourceResource
from taxi_platform.settings import Settings
from taxi_platform_tests.core.source.server import Answer, Server, StoredFile, running_server

ROOT = Path(__file__).parents[2]
MONTH = "2021-01"
FILES = [f"/green_tripdata_{MONTH}.{ending}" for ending in ("csv.gz", "csv", "parquet")]
#: How often a fetch asks, and how often a step is tried, in all.
ASKED, TRIED = 2, RETRIES.max_retries + 1


class HastySource(SourceResource):
    """The source, asked as often as it says and with no time between."""

    def open(self, catalog: Catalog, retry: RetryPolicy | None = None) -> Source:
        return super().open(catalog, retry or RetryPolicy(attempts=ASKED, first_wait=0.01, longest_wait=0.02))


@dataclass(frozen=True)
class Station:
    """The platform in front of a server, on an instance as `make dev` has it."""

    folder: Path
    server: Server
    instance: dg.DagsterInstance

    def run(self) -> dg.ExecuteInProcessResult:
        """The month's run, with no time between the tries of a step."""
        settings = Settings(data_dir=self.folder / "data", source=self.server.url)
        platform, catalog = build_definitions(settings), load_catalog()
        source = HastySource(location=self.server.url, raw_dir=str(settings.data_dir / "raw"), sample_rows=1)
        hasty = dg.Definitions(
            assets=platform.assets,
            asset_checks=platform.asset_checks,
            jobs=build_jobs(catalog, dg.RetryPolicy(max_retries=RETRIES.max_retries)),
            resources={**(platform.resources or {}), "source": source},
        )
        job = hasty.resolve_job_def("green_trips_job")
        return job.execute_in_process(instance=self.instance, partition_key=MONTH, raise_on_error=False)

    def is_run_again(self, result: dg.ExecuteInProcessResult) -> bool:
        """Whether the daemon would run the run that failed again."""
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.FAILURE
        return {"true": True, "false": False}[run.tags["dagster/will_retry"]]


@pytest.fixture
def station(tmp_path: Path) -> Generator[Station, None, None]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_bytes((ROOT / "deploy" / "local" / "dagster.yaml").read_bytes())
    with running_server() as server, dg.DagsterInstance.from_config(str(home)) as instance:
        yield Station(tmp_path, server, instance)


def tries_of(result: dg.ExecuteInProcessResult, step: str) -> int:
    """How often a step was begun."""
    begun = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED)
    return len([it for it in result.all_events if it.step_key == step and it.event_type in begun])


def month(folder: Path) -> bytes:
    write_month(load_catalog().trips["green"], Month.parse(MONTH), 300, folder / "month.csv.gz")
    return (folder / "month.csv.gz").read_bytes()


def test_a_month_that_is_not_published_is_asked_for_once_and_nothing_is_tried_again(station: Station) -> None:
    result = station.run()
    assert [it.path for it in station.server.requests] == FILES
    assert tries_of(result, "raw__green_trips") == 1
    assert not station.is_run_again(result)


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_a_source_that_throttles_or_fails_is_asked_again_by_the_step_and_then_no_more(
    station: Station, status: int
) -> None:
    station.server.serve(FILES[0], Answer(status))
    result = station.run()
    assert [it.path for it in station.server.requests] == [FILES[0]] * ASKED * TRIED
    assert tries_of(result, "raw__green_trips") == TRIED
    assert not station.is_run_again(result)


def test_a_source_that_comes_back_between_two_tries_of_a_step_is_enough(station: Station, tmp_path: Path) -> None:
    station.server.serve(FILES[0], *[Answer(503)] * (ASKED + 1), StoredFile(month(tmp_path)))
    result = station.run()
    assert result.success
    assert tries_of(result, "raw__green_trips") == 2
    assert len(station.server.requests) == ASKED + 2


def test_a_line_that_drops_each_time_is_taken_up_by_the_next_try_where_it_dropped(
    station: Station, tmp_path: Path
) -> None:
    body = month(tmp_path)
    cuts = [StoredFile(body, cut_at=len(body) // 8)] * (ASKED + 1)
    station.server.serve(FILES[0], *cuts, StoredFile(body))
    result = station.run()
    assert result.success
    assert tries_of(result, "raw__green_trips") == 2
    assert [it.headers.get("Range") for it in station.server.requests] == [
        None,
        *(f"bytes={len(body) // 8 * (number + 1)}-" for number in range(ASKED + 1)),
    ]


@pytest.mark.parametrize("body", [b"<html>Sign in, please</html>", b"\x1f\x8b\x08\x00 no gzip", b""])
def test_a_file_that_is_not_what_it_should_be_fails_once(station: Station, body: bytes) -> None:
    station.server.serve(FILES[0], Answer(200, body))
    result = station.run()
    assert len(station.server.requests) == 1
    assert tries_of(result, "raw__green_trips") == 1
    assert not station.is_run_again(result)


def test_a_file_that_breaks_the_contract_fails_once(station: Station) -> None:
    station.server.serve(FILES[1], Answer(200, b"name,age\nsomebody,42\n"))
    result = station.run()
    assert tries_of(result, "raw__green_trips") == 1
    assert tries_of(result, "clean_green_trips") == 1
    assert not station.is_run_again(result)


def test_a_month_that_a_check_blocks_fails_once_and_goes_no_further(station: Station) -> None:
    header = load_catalog().trips["green"].layout_of(Month.parse(MONTH), "csv").header
    rows = f"{','.join(header)}\n{',' * (len(header) - 1)}\n"
    station.server.serve(FILES[1], Answer(200, rows.encode()))
    result = station.run()
    assert [it.check_name for it in result.get_asset_check_evaluations() if it.blocking and not it.passed]
    assert tries_of(result, "clean_green_trips") == 1
    assert tries_of(result, "check_cleaned_green_trips") == 1
    assert tries_of(result, "lake__green_trips") == 0
    assert not station.is_run_again(result)


def test_a_run_whose_worker_died_is_run_again_and_not_for_ever(station: Station) -> None:
    job = build_definitions(Settings()).resolve_job_def("green_trips_job")
    run_ids: list[str] = []
    decided: list[str] = []
    for _ in range(4):
        first, last = (run_ids[0], run_ids[-1]) if run_ids else (None, None)
        tags = {"dagster/root_run_id": first} if first else None
        lost = station.instance.create_run_for_job(job, root_run_id=first, parent_run_id=last, tags=tags)
        station.instance.report_run_failed(lost, "the worker died")
        run_ids.append(lost.run_id)
        found = station.instance.get_run_by_id(lost.run_id)
        decided.append(found.tags["dagster/will_retry"] if found else "")
    assert decided == ["true", "true", "false", "false"]
