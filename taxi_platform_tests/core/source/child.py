"""A process that fetches green 2020-04, to be raced or killed.

`python -m taxi_platform_tests.core.source.child <source> <raw folder> <sample rows>` prints what it got as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from taxi_platform.core.catalog import load_catalog
from taxi_platform_tests.core.source.conftest import Fetcher


def main(setting: str, raw_dir: str, sample_rows: str) -> None:
    """Fetch, and say what came."""
    fetched = Fetcher(load_catalog(), Path(raw_dir))(setting, sample_rows=int(sample_rows))
    print(json.dumps({"changed": fetched.changed, "rows": fetched.raw.rows, "sha256": fetched.raw.sha256}))


if __name__ == "__main__":
    main(*sys.argv[1:])
