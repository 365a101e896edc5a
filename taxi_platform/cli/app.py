"""What `taxi` can be asked, and what each command starts. Nothing here imports Dagster: the help comes at once."""

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from taxi_platform.automation.lack import Lack
from taxi_platform.core.errors import TaxiPlatformError

app = typer.Typer(
    name="taxi",
    help="Every month of NYC taxi trips: planned, run, told and measured.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class References(StrEnum):
    """What `taxi references` may be asked for; each is the name of a job."""

    ALL = "references"
    ZONES = "taxi_zones"
    SHAPES = "taxi_zone_shapes"
    REPORTS = "tlc_reports"


def _datasets(begun: str) -> list[str]:
    from taxi_platform.core.catalog import load_catalog

    return [it for it in load_catalog().trips if it.startswith(begun)]


Dataset = Annotated[str, typer.Argument(help="yellow, green, fhv or fhvhv.", autocompletion=_datasets)]
Month = Annotated[str, typer.Argument(help="A month, YYYY-MM.")]
First = Annotated[str, typer.Argument(metavar="FROM", help="The first month, YYYY-MM.")]
Last = Annotated[str, typer.Argument(metavar="TO", help="The last month, YYYY-MM.")]
Backfill = Annotated[str, typer.Argument(metavar="NAME", help="What the backfill was called when it was begun.")]
Source = Annotated[
    str | None, typer.Option(help="web, tlc, mirror, sample, or a base URL or folder; else what TAXI_SOURCE says.")
]
Config = Annotated[str | None, typer.Option(metavar="FILE", help="A run config, with the actions of rules.")]
Only = Annotated[Lack | None, typer.Option(help="Take only the months that lack something.")]
Workspace = Annotated[str | None, typer.Option(metavar="FILE", help="Whose code runs them; else the project's own.")]
Which = Annotated[References, typer.Argument(help="Only the zones, their shapes, or TLC's reports.")]
Edition = Annotated[str, typer.Argument(help="The beginning of its name, or csv or parquet.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show Dagster's own log, too.")]


def main() -> None:
    """The command `taxi`."""
    app(prog_name="taxi")


@app.command()
def run(
    dataset: Dataset,
    month: Month,
    source: Source = None,
    config: Config = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Bring one month from the source to the warehouse, now."""
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Job

    def begin() -> int:
        start.check_months(dataset, month)
        start.check_config(dataset, config)
        order = Job(
            "run",
            f"{dataset} {month}",
            f"{dataset}_trips_job",
            month,
            config=config or "",
            as_json=as_json,
            verbose=verbose,
        )
        return order.carry_out(start.prepared(source))

    _end("run", begin, as_json=as_json)


@app.command()
def references(
    which: Which = References.ALL, source: Source = None, verbose: Verbose = False, as_json: Json = False
) -> None:
    """Bring the reference tables to the warehouse, now: the zones, their shapes, and what TLC reports."""
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Job

    def begin() -> int:
        order = Job("references", which, f"{which}_job", as_json=as_json, verbose=verbose)
        return order.carry_out(start.prepared(source))

    _end("references", begin, as_json=as_json)


@app.command()
def report(verbose: Verbose = False, as_json: Json = False) -> None:
    """Work the marts of new and changed months out, and make the page of them."""
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Report

    _end("report", lambda: Report("report", as_json, verbose).carry_out(start.prepared()), as_json=as_json)


@app.command()
def dev(port: Annotated[str, typer.Option(help="Where the UI is.")] = "3000", source: Source = None) -> None:
    """Start the UI, and the daemon that runs backfills, sensors and schedules."""
    from taxi_platform.cli import start
    from taxi_platform.core.machine import Width
    from taxi_platform.develop import checked_port, develop

    def begin() -> int:
        number = checked_port(port)  # before anything is made
        variables = start.prepared(source)
        sys.stderr.write(f"{Width.here()}\n")
        return develop(variables, number)

    _end("dev", begin)


@app.command()
def plan(
    dataset: Dataset,
    first: First,
    last: Last,
    only: Only = None,
    config: Config = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Say what a backfill would do: months and why, bytes, rows, minutes, disk. Nothing is changed."""
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Many

    def begin() -> int:
        order = Many("plan", dataset, first, last, only or "", config or "", as_json=as_json)
        start.check_order(order)
        return order.carry_out(start.prepared(source))

    _end("plan", begin, as_json=as_json)


@app.command()
def backfill(
    dataset: Dataset,
    first: First,
    last: Last,
    only: Only = None,
    config: Config = None,
    workspace: Workspace = None,
    source: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: Json = False,
) -> None:
    """Have a range of months run by the daemon of `taxi dev`, the newest first, and watch."""
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Many

    def begin() -> int:
        order = Many(
            "backfill",
            dataset,
            first,
            last,
            only or "",
            config or "",
            workspace=workspace or "",
            as_json=as_json,
        )
        start.check_order(order)
        if source:
            raise TaxiPlatformError(
                "a backfill takes no SOURCE",
                cause="its months are run by the daemon behind `make dev`, with the settings it was started with",
                fix="start `make dev` with it",
            )
        return order.carry_out(start.prepared())

    _end("backfill", begin, as_json=as_json)


@app.command()
def follow(name: Backfill, as_json: Json = False) -> None:
    """Watch a backfill, whoever began it."""
    _attend("follow", name, as_json=as_json)


@app.command()
def cancel(name: Backfill, as_json: Json = False) -> None:
    """Cancel the months of a backfill that are not done."""
    _attend("cancel", name, as_json=as_json)


@app.command()
def status(
    dataset: Annotated[str, typer.Argument(help="One dataset; else all.", autocompletion=_datasets)] = "",
    as_json: Json = False,
) -> None:
    """Say how the platform is: months by layer, late, failed, warned, older contracts, queue, disk."""
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Overview

    def begin() -> int:
        if dataset:
            start.check_months(dataset)
        return Overview("status", dataset, as_json).carry_out(start.prepared())

    _end("status", begin, as_json=as_json)


@app.command()
def metrics(
    port: Annotated[int, typer.Option(help="Serve them at this port, /metrics; else print them.", min=0)] = 0,
    host: Annotated[str, typer.Option(help="At which address.")] = "127.0.0.1",
) -> None:
    """Say the same to Prometheus, in its text format."""
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Overview

    _end("metrics", lambda: Overview("metrics", port=port, host=host).carry_out(start.prepared()))


@app.command()
def verify(
    dataset: Dataset,
    first: First,
    last: Annotated[str, typer.Argument(metavar="TO", help="The last month, YYYY-MM; else FROM.")] = "",
    as_json: Json = False,
) -> None:
    """Hold the lake and the table against each other, each by all it holds; 1 if a month is another."""
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Verification

    def begin() -> int:
        start.check_range(dataset, first, last or first)
        return Verification("verify", dataset, first, last or first, as_json).carry_out(start.prepared())

    _end("verify", begin, as_json=as_json)


@app.command()
def editions(dataset: Dataset, month: Month, as_json: Json = False) -> None:
    """List every file that was ever fetched of a month: when, from where, rows, and what TLC's report says of it."""
    _look("editions", dataset, month, as_json=as_json)


@app.command()
def diff(dataset: Dataset, month: Month, a: Edition = "", b: Edition = "", as_json: Json = False) -> None:
    """Compare two editions of a month row by row; by default the one before, and the one the month is made of."""
    _look("diff", dataset, month, a, b, as_json=as_json)


@app.command()
def rollback(
    dataset: Dataset,
    month: Month,
    edition: Annotated[str, typer.Argument(help="The beginning of its name, csv, parquet; latest lets go.")],
    source: Source = None,
    config: Config = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Make an older edition the month again, and pin it: nothing replaces it until it is let go."""
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Editions, Job

    def begin() -> int:
        start.check_months(dataset, month)
        start.check_config(dataset, config)
        variables = start.prepared(source)
        chosen = Editions("rollback", dataset, month, edition, as_json=as_json).carry_out(variables)
        if chosen:
            return chosen
        order = Job(
            "rollback",
            f"{dataset} {month}",
            f"{dataset}_trips_job",
            month,
            config=config or "",
            as_json=as_json,
            verbose=verbose,
        )
        return order.carry_out(variables)

    _end("rollback", begin, as_json=as_json)


def _look(command: str, dataset: str, month: str, first: str = "", second: str = "", *, as_json: bool) -> None:
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Editions

    def begin() -> int:
        start.check_months(dataset, month)
        return Editions(command, dataset, month, first, second, as_json).carry_out(start.prepared())

    _end(command, begin, as_json=as_json)


def _attend(command: str, name: str, *, as_json: bool) -> None:
    from taxi_platform.cli import start
    from taxi_platform.cli.order import Many

    def begin() -> int:
        if not name:
            raise TaxiPlatformError("which backfill?", fix=f"taxi {command} … with the name it was given")
        return Many(command, backfill=name, as_json=as_json).carry_out(start.prepared())

    _end(command, begin, as_json=as_json)


def _end(command: str, begin: Callable[[], int], *, as_json: bool = False) -> NoReturn:
    """Do it, and end with its status; what cannot be begun is told in three lines."""
    from taxi_platform.cli import say

    try:
        status = begin()
    except TaxiPlatformError as error:
        status = say.refused(command, error, as_json=as_json)
    raise SystemExit(status)
