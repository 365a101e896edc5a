"""Every month of NYC taxi trips TLC publishes, turned into a trustworthy table.

Start at `definitions.py` (the table of contents); follow one month through `assets/raw.py`, `assets/cleaned.py`,
`assets/lake.py` and `assets/warehouse.py`.
"""
