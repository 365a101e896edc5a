"""The daemon of `make dev`: Dagster's own, which looks for new backfills every two seconds instead of every thirty.

python -m taxi_platform.daemon run [OPTIONS OF dagster-daemon run]
"""

from taxi_platform.dagster_internals import run_daemon

if __name__ == "__main__":
    run_daemon(seconds_between_looks=2)
