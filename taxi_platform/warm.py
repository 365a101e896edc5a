"""What a run needs, loaded once: the process that runs are forked from imports this module, and nobody else does.

It must stay free of threads and open connections, which a fork would tear apart (a test looks).
"""

import gc
from importlib import import_module

from taxi_platform.definitions import defs

_repository = defs.get_repository_def()
for _name in _repository.job_names:
    _repository.get_job(_name)
gc.freeze()
