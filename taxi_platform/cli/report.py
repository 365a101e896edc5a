"""What `taxi report` starts: one run that works out the marts of months that were loaded since, and makes the page.

python -m taxi_platform.cli.report ORDER
"""

import signal
import sys
from dataclasses import replace

import dagster as dg

from taxi_platform.assets.marts import mart_key
from taxi_platform.automation.history import latest, months_of
from taxi_platform.cli import month
from taxi_platform.cli.order import Job, Report
from taxi_platform.core.catalog import Catalog, load_catalog
from taxi_platform.core.month import Month
from taxi_platform.marts import Mart, load_marts


def main(argument: str) -> int:
    """Run it, and say what came of it; gives the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    order = Report.from_argument(argument)
    with dg.DagsterInstance.get() as instance:
        lacking = lacking_months(instance, load_catalog(), load_marts())
    job = Job("report", "the page", "page_job", as_json=order.as_json, verbose=order.verbose)
    if lacking:
        first, last = str(lacking[0]), str(lacking[-1])
        subject = f"the marts of {first}{f' to {last}' if last > first else ''} and the page"
        job = replace(job, subject=subject, job="report_job", month=first, last=last)
    return month.carry_out(job)


def lacking_months(instance: dg.DagsterInstance, catalog: Catalog, marts: tuple[Mart, ...]) -> list[Month]:
    """The months of which a table was loaded after a mart was worked out, or that a mart lacks."""
    loaded: dict[Month, int] = {}
    for contract in catalog.trips.values():
        key = dg.AssetKey(["warehouse", contract.table])
        for it in months_of(instance, key):
            record = latest(instance, key, it)
            loaded[it] = max(loaded.get(it, 0), record.number if record else 0)

    def is_behind(mart: Mart, it: Month) -> bool:
        made = latest(instance, mart_key(mart), it)
        return made is None or made.number < loaded[it]

    return sorted(it for it in loaded if any(is_behind(mart, it) for mart in marts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
