"""The code server: Dagster's own, but its runs are forked from a process that has everything loaded already.

A small month spends two thirds of its time on imports otherwise. Each run is a process of its own as before: one that
fails or dies takes no other with it.

Several months in one run (`BackfillPolicy.multi_run`) would share one start, too. But its steps get all the months at
once, and a check is evaluated once for all of them and recorded for none (tried with Dagster 1.13): one month that
fails would fail the others.

python -m taxi_platform.code_server api grpc [OPTIONS OF dagster api grpc]
python -m taxi_platform.code_server code-server start [OPTIONS OF dagster code-server start]
"""

import sys

#: What takes the place of `python -m dagster`.
COMMAND = (sys.executable, "-m", "taxi_platform.code_server")

if __name__ == "__main__":
    from taxi_platform.automation.leaving import leave_to_the_system
    from taxi_platform.dagster_internals import run_code_server

    leave_to_the_system()
    run_code_server(COMMAND, loaded="taxi_platform.warm")
