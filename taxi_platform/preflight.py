"""Is what `make run` was given usable? Answers in one line, before Dagster is started.

    python -m taxi_platform.preflight DATASET MONTH
"""

import sys
from collections.abc import Sequence
from datetime import date

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.month import Month
from taxi_platform.settings import Settings


def main(arguments: Sequence[str]) -> int:
    """Check the settings, the dataset and the month; say what is wrong with them, if anything."""
    try:
        dataset, key = arguments
        Settings.from_env()
        trips = load_catalog().trips
        if dataset not in trips:
            raise TaxiPlatformError(
                f"there is no dataset {dataset!r}", fix=f"make run DATASET=… with one of {', '.join(trips)}"
            )
        month = Month.parse(key)
        first, this = trips[dataset].first_month, Month(date.today().year, date.today().month)
        if not first <= month < this:
            raise TaxiPlatformError(
                f"{month} is outside the dataset's months",
                about=dataset,
                cause=f"its months are {first} to the last whole one",
                fix=f"make run DATASET={dataset} MONTH=… with one of them",
            )
    except TaxiPlatformError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
