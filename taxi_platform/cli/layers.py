"""A run told as it goes: a line for each layer that is done and each check that does not hold; a table at the end."""

import os
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, TextIO

import dagster as dg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

_LOOK_SECONDS = 0.3
#: The width of the longest name of a layer or a table, tlc_monthly_report.
_NAME = 18
#: What a step is doing, by the layer its name begins with.
_AT_WORK = {
    "raw": "fetching",
    "clean": "cleaning",
    "lake": "storing in the lake",
    "warehouse": "loading the table",
    "check": "checking",
    "marts": "working the marts out",
    "report": "making the page",
}
_TOLD = {
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_UP_FOR_RETRY,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}


@dataclass(frozen=True)
class Layer:
    """A layer that was made.

    Attributes:
        name: Which.
        rows: Its rows; None where they are not counted.
        bytes: The size of its file; None: it is none.
        seconds: How long it took to make; None: nobody measured.
        where: The file, object or table.
    """

    name: str
    rows: int | None
    bytes: int | None
    seconds: float | None
    where: str


@dataclass(frozen=True)
class Check:
    """A check of the run: which, of what asset, whether it holds, whether it blocks, and what it says."""

    name: str
    asset: str
    passed: bool
    blocks: bool
    says: str


class _Patient(Console):
    """A console whose reader may go: a month is brought to its end, whoever looks on."""

    def on_broken_pipe(self) -> None:
        """Rich's hook: nobody reads any more."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


class Teller:
    """Tells of one run, to a terminal or a file, or keeps it for a document.

    Args:
        out: Where to.
        silent: Whether nothing is told, and all is kept.
    """

    def __init__(self, out: TextIO, *, silent: bool) -> None:
        # What errors say is shown as it is: brackets in it are no markup.
        self._console = _Patient(file=out, markup=False, highlight=False, emoji=False, quiet=silent)
        # What Dagster and the libraries write goes where it went: it is no part of what is told here.
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._at_work = self._progress.add_task("starting Dagster", total=None)
        self._cursor: str | None = None
        self.layers: list[Layer] = []
        self.checks: list[Check] = []

    @contextmanager
    def following(self, instance: dg.DagsterInstance, tags: Mapping[str, str]) -> Generator[None, None, None]:
        """Tell of the run with such tags while the block runs."""
        is_over = threading.Event()

        def follow() -> None:
            run_id = ""
            while not is_over.wait(_LOOK_SECONDS):
                if not run_id and (found := instance.get_runs(dg.RunsFilter(tags=dict(tags)), limit=1)):
                    run_id = found[0].run_id
                if run_id:
                    self.look(instance, run_id)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        if self._console.is_terminal:
            self._progress.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            self._progress.stop()

    def look(self, instance: dg.DagsterInstance, run_id: str) -> None:
        """Tell what has come since the last look."""
        found = instance.get_records_for_run(run_id, self._cursor, of_type=_TOLD)
        self._cursor = found.cursor
        for record in found.records:
            if event := record.event_log_entry.dagster_event:
                self._hear(event)

    def document(self) -> dict[str, Any]:
        """All of it, for a program."""
        return {"layers": [asdict(it) for it in self.layers], "checks": [asdict(it) for it in self.checks]}

    def close(self, subject: str, seconds: float) -> None:
        """The table at the end."""
        if not self.layers:
            return
        table = Table("layer", *(_right(it) for it in ("rows", "bytes", "seconds")))
        for it in self.layers:
            table.add_row(it.name, _number(it.rows), _number(it.bytes), _seconds(it.seconds))
        held = f"{sum(it.passed for it in self.checks)} of {len(self.checks)} checks hold, " if self.checks else ""
        table.caption = f"{subject}: {held}{seconds:.1f} s"
        self._console.print(table)

    def _hear(self, event: dg.DagsterEvent) -> None:
        if event.event_type is dg.DagsterEventType.STEP_START:
            step = event.step_key or ""
            doing = next((words for name, words in _AT_WORK.items() if step.startswith(name)), step)
            self._progress.update(self._at_work, description=doing)
        elif event.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY:
            told = event.step_retry_data.error
            why = (told.cause or told).message.strip().splitlines()[0] if told else ""
            if not why.endswith("InterruptedError"):  # which is not tried again (`executor.py`)
                self._say(f"  once more   {why}")
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            layer = _layer_of(event.step_materialization_data.materialization)
            if layer.name not in {it.name for it in self.layers}:  # a run of many months makes each once a month
                self.layers.append(layer)
                self._say(_line(layer))
        elif check := event.asset_check_evaluation_data:
            is_error = check.severity == dg.AssetCheckSeverity.ERROR
            asset = check.asset_key.to_user_string()
            told = Check(
                check.check_name, asset, check.passed, bool(check.blocking) and is_error, check.description or ""
            )
            self.checks.append(told)
            if not told.passed:
                self._say(f"  {'fails' if told.blocks else 'warns':<11} {told.name} on {asset}: {told.says}")

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _layer_of(made: dg.AssetMaterialization) -> Layer:
    def number(*names: str) -> Any:
        found = next((made.metadata[it] for it in names if it in made.metadata), None)
        return found.value if found is not None and isinstance(found.value, int | float) else None

    where = next((str(made.metadata[it].value) for it in ("dagster/uri", "path", "table") if it in made.metadata), "")
    layer, table = made.asset_key.path[0], made.asset_key.path[-1]
    return Layer(
        table if layer in ("reference", "marts", "report") else layer,
        number("dagster/partition_row_count", "dagster/row_count", "rows"),
        number("bytes"),
        number("seconds"),
        where.removeprefix("file://"),
    )


def _line(it: Layer) -> str:
    rows = f"{it.rows:>12,} rows" if it.rows is not None else " " * 17
    seconds = f"{_seconds(it.seconds):>8} s" if it.seconds is not None else " " * 10
    return f"  {it.name:<{_NAME}}{rows}{seconds}  {it.where}".rstrip()


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _right(title: str) -> Column:
    return Column(title, justify="right")
