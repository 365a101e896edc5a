"""The page: what the marts hold, as people look at it. One HTML file that opens from a disk, without a network.

`figures.py` asks the warehouse, `trust.py` Dagster's records; `charts.py` draws, `page.py` puts it into `page.html.j2`.
"""
