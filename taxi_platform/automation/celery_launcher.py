"""dagster-celery's run launcher, with what it lacks: noticing that a machine is gone, and runs that end as cancelled.

Workers (`taxi_platform.worker`) take their settings from here, too: one `dagster.yaml` names the broker for all.
"""

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote

from celery.exceptions import DuplicateTaskNameWarning
from dagster import DagsterRun, DagsterRunStatus, Field, Noneable, StringSource
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from taxi_platform.automation.burial import executor_of, free, why
from taxi_platform.core.errors import SettingsError
from taxi_platform.dagster_internals import (
    CheckRunHealthResult,
    ConfigurableClassData,
    DagsterUserCodeUnreachableError,
    LaunchRunContext,
    WorkerStatus,
)

if TYPE_CHECKING:
    from celery.result import AsyncResult

#: Seconds in which a worker may say nothing and count as alive: its machine may be busy, or its line down for a moment.
SILENCE = 20.0
#: Seconds after the broker was away in which workers come back to it: they try again after 2, 4, … and at last 30 s.
_RETURN = 45.0
#: What is raised where it is away; the last is Celery's, of its results.
_AWAY = (OperationalError, RedisError, OSError, RuntimeError)
#: Seconds for the answer to one question.
_ANSWER = 2.0
#: Of Celery, beside what dagster-celery says.
_CELERY = {
    # One month in a process: what it took of the memory goes with it, and a month that ends it takes no other along.
    "worker_max_tasks_per_child": 1,
    # A worker asks for a month when it has a place for one: else months would wait behind others while machines idle.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    # What a month prints is the month's, and captured with it.
    "worker_redirect_stdouts": False,
    # However long the broker is away.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "result_expires": 7 * 24 * 60 * 60,
    "broker_transport_options": {
        # A month that a worker took and did not begin is given to another; between the two lie milliseconds.
        "visibility_timeout": 120,
        "socket_connect_timeout": 5,
        "socket_timeout": 20,
        "socket_keepalive": True,
        # Of who sends a month: the daemon is not to stand still while the broker is away.
        "max_retries": 3,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.5,
    },
    "redis_socket_connect_timeout": 5,
    "redis_socket_timeout": 20,
    "result_backend_transport_options": {"retry_policy": {"max_retries": 3, "interval_max": 0.5}},
}


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """Launches runs as Celery tasks, and tells run monitoring whether they are still at work there.

    Celery says of a task that it was started until somebody says otherwise. Of a machine that is gone nobody does: to
    dagster-celery its runs are at work for ever. So the worker that has a task is asked for it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["config_source"] = {**_CELERY, **(kwargs.get("config_source") or {})}
        # For each run it makes Celery's task anew, of which the first is as good as any.
        warnings.filterwarnings("ignore", category=DuplicateTaskNameWarning)
        super().__init__(*args, **kwargs)
        self._silent_since: dict[str, float] = {}
        self._nobody_heard_until = float("-inf")

    @classmethod
    def config_type(cls) -> Any:
        """Those of dagster-celery; the result backend is the broker, and its password may be in a file."""
        told: Any = {**cast("dict[str, Any]", super().config_type())}
        description = "A file with the password of the broker, where its URL has none."
        told["password_file"] = Field(Noneable(StringSource), is_required=False, description=description)
        told.pop("backend")
        return told

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """See `ConfigurableClass`."""
        told = dict(config_value)
        broker = _with_password(told.pop("broker", None) or "", told.pop("password_file", None))
        # Dagster's `rpc://` can tell the state of a task to nobody but who sent it.
        return cls(inst_data=inst_data, broker=broker, backend=broker, **told)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Give a run to the broker; while it is away, the run goes back into Dagster's queue.

        Raises:
            DagsterUserCodeUnreachableError: It is away.
        """
        # A run that is tried again has the tags of the one before it, and would be judged by that one's task.
        self._instance.add_run_tags(context.dagster_run.run_id, {DAGSTER_CELERY_TASK_ID_TAG: ""})
        try:
            super().launch_run(context)
        except _AWAY as error:
            raise DagsterUserCodeUnreachableError(f"the broker takes no runs: {type(error).__name__}") from error

    def terminate(self, run_id: str) -> bool:
        """Have a run end as cancelled; one that no worker has begun is cancelled at once."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or (task := run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)) is None:
            return False
        has_begun = bool(task) and self._task(task).state != "PENDING"
        if run.status is not DagsterRunStatus.CANCELING:
            self._instance.report_run_canceling(run)
        if task:  # else it is on its way to the broker right now
            super().terminate(run_id)
        if not has_begun:
            # Whoever takes the task later finds its run ended, and leaves it alone.
            self._instance.report_run_canceled(run, "cancelled before a worker had begun it")
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Ask Celery, and where it knows no end, the worker that began the run."""
        if (executor := executor_of(run)) is not None and executor.has_ended():
            now = self._instance.get_run_by_id(run.run_id)
            if now is not None and not now.is_finished:
                free(self._instance, run.run_id)
                return CheckRunHealthResult(WorkerStatus.FAILED, why(run))
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if not task:
            return CheckRunHealthResult(WorkerStatus.RUNNING)  # of a terminal
        try:
            return self._ask_for(run, task)
        except _AWAY:
            # While the broker is away nobody hears anybody; that says nothing of months at work.
            self._silent_since.clear()
            self._nobody_heard_until = time.monotonic() + _RETURN
            return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _ask_for(self, run: DagsterRun, task: str) -> CheckRunHealthResult:
        found = self._task(task)
        state, told = found.state, found.info
        if state not in ("STARTED", "PENDING"):
            return super().check_run_worker_health(run)
        # A broker that has lost its memory knows no worker's name: all are asked.
        worker = told["hostname"] if state == "STARTED" and isinstance(told, dict) else None
        answers = self._ask(task, worker)
        if any(answers.values()):
            self._silent_since.pop(task, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if worker in answers:
            if self._task(task).state != state:  # it has ended meanwhile, and said how
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            return CheckRunHealthResult(WorkerStatus.FAILED, f"worker {worker} has the run no more")
        return self._judge_silence(task, worker)

    def _judge_silence(self, task: str, worker: str | None) -> CheckRunHealthResult:
        now = max(time.monotonic(), self._nobody_heard_until)
        silent = now - self._silent_since.setdefault(task, now)
        if silent <= SILENCE:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._silent_since.pop(task, None)
        who = f"worker {worker} has said nothing" if worker else "no worker knows the run"
        cause = "its machine is gone, or nobody reaches it"
        return CheckRunHealthResult(WorkerStatus.FAILED, f"{who} for {silent:.0f} s: {cause}")

    def _task(self, task: str) -> "AsyncResult":
        return self.celery.AsyncResult(task)

    def _ask(self, task: str, worker: str | None) -> dict[str, Any]:
        """Who answers, and what each knows of the task: nothing, if it has it not."""
        of_one: dict[str, Any] = {"destination": [worker], "limit": 1} if worker else {}
        return self.celery.control.inspect(timeout=_ANSWER, **of_one).query_task(task) or {}


def _with_password(url: str, file: str | None) -> str:
    """The broker's URL with the password of a file in it."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise SettingsError(
            "nobody says which broker gives runs to workers",
            fix="set DAGSTER_CELERY_BROKER_URL to redis://host:port/0, in every process of Dagster's",
        )
    if not file or "@" in rest:
        return url
    try:
        password = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        cause = str(error.strerror)
        raise SettingsError("the broker's password cannot be read", where=file, cause=cause) from error
    return f"{scheme}://:{quote(password, safe='')}@{rest}"
