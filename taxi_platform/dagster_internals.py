"""Every name of Dagster's that Dagster does not publish and the platform uses. No other module may name one.

Each group says why there is no other way, and what breaks if a release of Dagster changes it. `pyproject.toml` keeps
Dagster below the next minor release for these alone; who raises that bound goes through this page.

What costs time to import (SQLAlchemy, gRPC, the daemon) is imported when it is asked for: a run needs none of it.
"""

import multiprocessing
from collections.abc import Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

# To execute a run in one process that is recorded, and that waits for a place in a pool with words and an end
# (`automation/executor.py`): Dagster's own executor waits for ever, at full speed, and takes no instructions. If it
# changes, no run begins; the tests of the executor say so first.
from dagster._core.errors import DagsterExecutionInterruptedError as DagsterExecutionInterruptedError

# What is raised where a code server is gone (`automation/launcher.py`): runs whose server died would not be noticed.
from dagster._core.errors import DagsterUserCodeUnreachableError as DagsterUserCodeUnreachableError
from dagster._core.events import DagsterEvent as DagsterEvent
from dagster._core.events import EngineEventData as EngineEventData
from dagster._core.execution.api import ExecuteRunWithPlanIterable as ExecuteRunWithPlanIterable
from dagster._core.execution.context.system import PlanExecutionContext as PlanExecutionContext
from dagster._core.execution.context.system import PlanOrchestrationContext as PlanOrchestrationContext
from dagster._core.execution.context_creation_job import PlanExecutionContextManager as PlanExecutionContextManager
from dagster._core.execution.plan.execute_plan import inner_plan_execution_iterator as inner_plan_execution_iterator
from dagster._core.execution.plan.instance_concurrency_context import (
    InstanceConcurrencyContext as InstanceConcurrencyContext,
)
from dagster._core.execution.plan.plan import ExecutionPlan as ExecutionPlan
from dagster._core.executor.in_process import InProcessExecutor as InProcessExecutor
from dagster._utils.interrupts import check_captured_interrupt as check_captured_interrupt

if TYPE_CHECKING:
    # The type of what `dg.define_asset_job` returns: for the type checker alone, nothing breaks without it.
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition as UnresolvedAssetJobDefinition,
    )
    from dagster._core.launcher.base import CheckRunHealthResult as CheckRunHealthResult
    from dagster._core.launcher.base import LaunchRunContext as LaunchRunContext
    from dagster._core.launcher.base import WorkerStatus as WorkerStatus
    from dagster._core.storage.cloud_storage_compute_log_manager import (
        PollingComputeLogSubscriptionManager as PollingComputeLogSubscriptionManager,
    )
    from dagster._core.storage.cloud_storage_compute_log_manager import (
        TruncatingCloudStorageComputeLogManager as TruncatingCloudStorageComputeLogManager,
    )
    from dagster._core.storage.compute_log_manager import ComputeIOType as ComputeIOType
    from dagster._core.storage.event_log import SqliteEventLogStorage as SqliteEventLogStorage
    from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION as IO_TYPE_EXTENSION
    from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager as LocalComputeLogManager
    from dagster._core.storage.sql import create_engine as create_engine
    from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS as SQLITE_BUSY_TIMEOUT_SECONDS
    from dagster._grpc.types import CanCancelExecutionRequest as CanCancelExecutionRequest
    from dagster._grpc.types import CanCancelExecutionResult as CanCancelExecutionResult
    from dagster._serdes import ConfigurableClass as ConfigurableClass
    from dagster._serdes import ConfigurableClassData as ConfigurableClassData
    from dagster._serdes import deserialize_value as deserialize_value

_LATER = {
    # To ask a code server whether it still has a run (`automation/launcher.py`): Dagster's own launcher never asks. If
    # they change, the daemon cannot launch runs; its tests say so first.
    "CheckRunHealthResult": "dagster._core.launcher.base",
    "WorkerStatus": "dagster._core.launcher.base",
    "CanCancelExecutionRequest": "dagster._grpc.types",
    "CanCancelExecutionResult": "dagster._grpc.types",
    "deserialize_value": "dagster._serdes",
    # To give a run to a worker anywhere (`automation/celery_launcher.py`): the type of what a launcher is given.
    "LaunchRunContext": "dagster._core.launcher.base",
    # To keep what runs print in the lake (`automation/compute_logs.py`): Dagster's own managers are for one kind of
    # bucket each, and made of these. If they change, no process of a deployment with workers starts.
    "PollingComputeLogSubscriptionManager": "dagster._core.storage.cloud_storage_compute_log_manager",
    "TruncatingCloudStorageComputeLogManager": "dagster._core.storage.cloud_storage_compute_log_manager",
    "ComputeIOType": "dagster._core.storage.compute_log_manager",
    "LocalComputeLogManager": "dagster._core.storage.local_compute_log_manager",
    "IO_TYPE_EXTENSION": "dagster._core.storage.local_compute_log_manager",
    "ConfigurableClass": "dagster._serdes",
    # To keep the databases of the event log open (`automation/event_log.py`): a tenth of the time of a small month. If
    # they change, that module can go, and its lines in `deploy/local/dagster.yaml`: Dagster's own class does the same.
    "SqliteEventLogStorage": "dagster._core.storage.event_log",
    "create_engine": "dagster._core.storage.sql",
    "SQLITE_BUSY_TIMEOUT_SECONDS": "dagster._core.storage.sqlite",
    "ConfigurableClassData": "dagster._serdes",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(name)
    return getattr(import_module(_LATER[name]), name)


def run_daemon(seconds_between_looks: int, code_server: Sequence[str]) -> None:
    """Be Dagster's daemon, with the arguments of this process.

    Dagster looks for new backfills twice a minute, by a constant: who begins one from a terminal would wait for that
    long. If the constant goes, backfills begin half a minute later, and nothing else.

    Args:
        seconds_between_looks: How often it looks for backfills.
        code_server: See `_begin_code_servers_by`.
    """
    from dagster._daemon import controller
    from dagster._daemon.cli import main

    controller.__dict__["DEFAULT_DAEMON_INTERVAL_SECONDS"] = seconds_between_looks
    _begin_code_servers_by(code_server)
    main()


def run_code_server(code_server: Sequence[str], loaded: str) -> None:
    """Be Dagster's code server, or the one before it that reloads it, with the arguments of this process.

    Dagster begins each run in a new interpreter, which imports for a second and a half before it does anything, and
    has no setting for that: it asks `multiprocessing` for the method `spawn`. Here it is given `forkserver`: runs are
    forked from a process that has imported what they need. If the server asks otherwise some day, runs begin in a new
    interpreter again: slower, and nothing else.

    Args:
        code_server: See `_begin_code_servers_by`.
        loaded: The module that process imports.
    """
    from dagster._cli import main
    from dagster._grpc import server

    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload([loaded, "dagster._grpc.impl"])
    server.__dict__["multiprocessing"] = SimpleNamespace(get_context=lambda _: forking, Process=forking.Process)
    _begin_code_servers_by(code_server)
    main()


def _begin_code_servers_by(command: Sequence[str]) -> None:
    """Let this process begin code servers by a command of ours, where Dagster's own is `python -m dagster`.

    If Dagster finds its command in another way some day, code servers are its own: their runs begin slower.
    """
    from dagster._grpc import server

    server.__dict__["get_python_environment_entry_point"] = lambda _: [*command]
