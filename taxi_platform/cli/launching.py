"""A backfill is begun as the UI begins one: by its GraphQL, which Dagster's own command `dagster-graphql` asks.

The daemon then queues its months, the newest first, and sees to those whose worker died; `dagster job backfill` would
queue the oldest first, and call the backfill completed at once, whereupon no month of it is run again.
"""

import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_platform.automation.burial import bury
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.showing import shown

_COMMAND = str(Path(sys.executable).with_name("dagster-graphql"))
_WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
_LOCATION, _REPOSITORY = "taxi_platform", "__repository__"
_LAUNCH = """
mutation Launch($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
  }
}
"""
#: A minute on a machine that is very busy; then something hangs.
_PATIENCE = 300.0
#: The tag of a backfill by which whoever asked for it finds it.
_ASKED = "taxi/asked"


def require_daemon(instance: dg.DagsterInstance) -> None:
    """Make sure that somebody would run the months.

    Raises:
        TaxiPlatformError: There is no daemon.
    """
    bury(instance)
    if not all(it.healthy for it in instance.get_daemon_statuses(["BACKFILL"]).values()):
        raise TaxiPlatformError(
            "nothing would run the months", cause="no daemon is running", fix="run `make dev` first"
        )


def launch(
    dataset: str, months: Sequence[str], config: Mapping[str, Any] | None = None, workspace: str | None = None
) -> str:
    """Hand months to the daemon.

    Args:
        dataset: The dataset.
        months: Its months, in the order they are to be queued.
        config: The run config of all of them.
        workspace: The path of the workspace file whose code runs them; by default the project's own.

    Returns:
        The backfill's name.

    Raises:
        TaxiPlatformError: Dagster has refused it.
        KeyboardInterrupt: Somebody has ended the asking; its argument is the backfill's name if it was begun.
    """
    asked: dict[str, Any] = {
        "selector": {
            "partitionSetName": f"{dataset}_trips_job_partition_set",
            "repositorySelector": {"repositoryLocationName": _LOCATION, "repositoryName": _REPOSITORY},
        },
        "partitionNames": list(months),
        "fromFailure": False,
        "tags": [{"key": _ASKED, "value": str(uuid.uuid4())}],
    } | ({"runConfigData": config} if config else {})
    with tempfile.TemporaryDirectory(prefix="taxi-") as folder:
        answer = Path(folder, "answer.json")
        command = [_COMMAND, "-w", workspace or str(_WORKSPACE), "--text", _LAUNCH, "--output", str(answer)]
        command += ["--variables", json.dumps({"backfill": asked})]
        # In a session of its own: Ctrl-C ends the watching, and a backfill is begun or it is not.
        with subprocess.Popen(  # noqa: S603 (ours)
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            interrupted = False
            try:
                _, said = process.communicate(timeout=_PATIENCE)
            except KeyboardInterrupt:
                interrupted, said = True, process.communicate(timeout=_PATIENCE)[1]
        name = _name_in(answer, said)
    if interrupted:
        raise KeyboardInterrupt(name)
    return name


def _name_in(answer: Path, said: str) -> str:
    told: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {}
    launched = (told.get("data") or {}).get("launchPartitionBackfill") or {}
    if name := launched.get("backfillId"):
        return name
    errors = [it.get("message", "") for it in told.get("errors", [])]
    why = next(
        filter(None, [launched.get("message"), *errors, *reversed(said.strip().splitlines())]), "no reason given"
    )
    raise TaxiPlatformError(
        "Dagster did not begin the backfill",
        cause=shown(" ".join(why.split()), 1_000),
        fix="if its code does not load, `make check` says why",
    )
