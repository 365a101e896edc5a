"""Dagster's own run launcher, with the one thing it lacks: noticing that whoever was at work on a run is gone."""

import socket
from pathlib import Path

from dagster import DagsterRun, DefaultRunLauncher

from taxi_platform.automation.burial import executor_of, free, why
from taxi_platform.dagster_internals import (
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    CheckRunHealthResult,
    DagsterUserCodeUnreachableError,
    WorkerStatus,
    deserialize_value,
)


class WatchedRunLauncher(DefaultRunLauncher):
    """Launches runs on a code server, and tells run monitoring whether they are still at work there.

    A code server reports a run whose process died. When the server itself dies its runs die with it, and nobody says
    so: to Dagster's own launcher they are at work until their time is up.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Look for the run's process, or ask its code server; one that is silent may be starting, and gets time."""
        if (executor := executor_of(run)) is not None and executor.has_ended():
            now = self._instance.get_run_by_id(run.run_id)
            if now is not None and not now.is_finished:  # whoever has ended meanwhile had said before how
                free(self._instance, run.run_id)
                return CheckRunHealthResult(WorkerStatus.FAILED, why(run))
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)  # of a terminal, and at work, or on another machine
        try:
            reply = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            if client.socket and _is_deserted(Path(client.socket)):
                return CheckRunHealthResult(WorkerStatus.FAILED, "the code server is gone, with the runs it had")
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if deserialize_value(reply, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the code server does not know the run: it was restarted")


def _is_deserted(path: Path) -> bool:
    """Whether nobody will ever answer at a socket: `dagster dev` gives each of its servers a path of its own."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return True
    return False
