"""A worker: takes months from the broker that this machine's `dagster.yaml` names, and executes each in a process.

python -m taxi_platform.worker [OPTIONS OF celery worker]

Without `--concurrency` it executes as many months at once as the machine has cores and memory for.
"""

import importlib
import secrets
import socket
import sys

import dagster as dg
from dagster_celery.tasks import create_execute_job_task

from taxi_platform.automation.celery_launcher import WatchedCeleryRunLauncher
from taxi_platform.core.errors import SettingsError, TaxiPlatformError
from taxi_platform.core.machine import Width
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.resources import lake_of
from taxi_platform.settings import Settings


def main(options: list[str]) -> None:
    """Work until somebody ends it; told to once (SIGTERM), it takes no further month and ends with those at work.

    Args:
        options: Those of `celery worker`.

    Raises:
        SettingsError: What is set is of no use to a worker, or its `dagster.yaml` is not one of workers.
    """
    # Before the first month, and once for all of them: processes of months are made of this one. And a setting that is
    # of no use ends the worker, and not its months one by one. Nothing is connected to yet.
    importlib.import_module("taxi_platform.definitions")
    settings = Settings.from_env()
    lake_of(settings).open()
    open_warehouse(settings.warehouse_url)
    with dg.DagsterInstance.get() as instance:
        launcher = instance.run_launcher
        if not isinstance(launcher, WatchedCeleryRunLauncher):
            raise SettingsError(
                "runs are not given to workers here",
                where=f"{instance.root_directory}/dagster.yaml",
                cause=f"its run_launcher is {type(launcher).__name__}",
                fix="let DAGSTER_HOME name a folder whose dagster.yaml has WatchedCeleryRunLauncher",
            )
        app, queue = launcher.celery, launcher.default_queue
    create_execute_job_task(app)
    # Never used before: two machines may have one name, and a worker that was restarted has none of the runs it had.
    name = f"taxi-{secrets.token_hex(4)}@{socket.gethostname()}"
    places = str(Width.here().months)
    app.worker_main(
        ["worker", "--queues", queue, "--hostname", name, "--concurrency", places, "--loglevel", "INFO", *options]
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except TaxiPlatformError as error:
        sys.exit(str(error))
