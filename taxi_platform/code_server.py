"""The code server: Dagster's own, but its runs are forked from a process that has everything loaded already.

A small month takes a third of the time then. Each run is a process of its own as before: one that fails or dies takes
no other with it.

python -m taxi_platform.code_server api grpc [OPTIONS OF dagster api grpc]
python -m taxi_platform.code_server code-server start [OPTIONS OF dagster code-server start]
"""

import sys

#: What takes the place of `python -m dagster`.
COMMAND = (sys.executable, "-m", "taxi_platform.code_server")

if __name__ == "__main__":
    from taxi_platform.dagster_internals import run_code_server

    run_code_server(COMMAND, loaded="taxi_platform.warm")
