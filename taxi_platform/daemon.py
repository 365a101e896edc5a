"""The daemon of `make dev`: Dagster's own, which looks for new backfills every two seconds instead of every thirty.

A code server that it begins itself is ours, too (`code_server.py`).

python -m taxi_platform.daemon run [OPTIONS OF dagster-daemon run]
"""

from taxi_platform.code_server import COMMAND
from taxi_platform.dagster_internals import run_daemon

if __name__ == "__main__":
    run_daemon(seconds_between_looks=2, code_server=COMMAND)
