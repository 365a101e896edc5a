"""What a run needs, loaded once: the process that runs are forked from imports this module, and nobody else does.

Nothing here may leave a thread of Python's or an open connection: a fork would tear it apart (a test looks).
"""

import os
import signal
from contextlib import suppress

import dagster as dg

from taxi_platform.automation.leaving import leave_to_the_system
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.warehouse import open_warehouse
from taxi_platform.definitions import defs
from taxi_platform.resources import lake_of
from taxi_platform.settings import Settings

# Told to end, runs and their server end; this process ends with the server, or its runs would be taken for dead.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))

# A run asks for its job with all its steps; the instance's storages and the stores of the settings bring half of what
# it imports.
_repository = defs.get_repository_def()
for _name in _repository.job_names:
    _repository.get_job(_name)
with suppress(Exception), dg.DagsterInstance.get() as _instance:  # what is wrong with it is told by the run
    _instance.get_runs_count()
with suppress(TaxiPlatformError):  # so is a setting of no use; here it would end whatever every run is forked from
    _settings = Settings.from_env()
    lake_of(_settings).open()
    open_warehouse(_settings.warehouse_url)

leave_to_the_system()
