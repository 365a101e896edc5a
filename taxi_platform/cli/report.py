"""What `taxi report` starts: one run that works out the marts of months that were loaded since, and makes the page.

python -m taxi_platform.cli.report ORDER
"""

import signal
import sys
from dataclasses import replace

import dagster as dg

from taxi_platform.automation.marts import months_behind
from taxi_platform.cli import month
from taxi_platform.cli.order import Job, Report
from taxi_platform.core.catalog import load_catalog
from taxi_platform.marts import load_marts


def main(argument: str) -> int:
    """Run it, and say what came of it; gives the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    order = Report.from_argument(argument)
    with dg.DagsterInstance.get() as instance:
        behind = [*months_behind(instance, load_catalog(), load_marts())]
    job = Job("report", "the page", "page_job", as_json=order.as_json, verbose=order.verbose)
    if behind:
        first, last = str(behind[0]), str(behind[-1])
        subject = f"the marts of {first}{f' to {last}' if last > first else ''} and the page"
        job = replace(job, subject=subject, job="report_job", month=first, last=last)
    return month.carry_out(job)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
