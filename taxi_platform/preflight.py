"""Is what `make run` was given usable? Answers in one line, before Dagster is started.

python -m taxi_platform.preflight DATASET MONTH …
"""

import sys
from collections.abc import Sequence

from taxi_platform.core.catalog import load_catalog
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.settings import Settings


def main(arguments: Sequence[str]) -> int:
    """Check the settings, the dataset and the months; say what is wrong with them, if anything."""
    dataset, *months = arguments
    trips = load_catalog().trips
    try:
        Settings.from_env()
        if dataset in trips:
            for month in months:
                trips[dataset].month(month)
            return 0
    except TaxiPlatformError as error:
        sys.stderr.write(f"{error}\n")
    else:
        sys.stderr.write(f"There is no dataset {dataset!r}. Fix: make run DATASET=… with one of {', '.join(trips)}.\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
