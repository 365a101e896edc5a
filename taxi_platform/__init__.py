"""Every month of NYC taxi trips TLC publishes, turned into a trustworthy table.

Start at `definitions.py` (the table of contents); follow one month through `assets/raw.py`, `assets/cleaned.py`,
`assets/lake.py` and `assets/warehouse.py`.
"""

from taxi_platform.automation.leaving import spare_the_garbage

# Now what Dagster has loaded, later (`definitions.py`) what this package has: while that is loaded, Python looks
# through all that is there for garbage twice, a twentieth of a small month's run.
spare_the_garbage()
