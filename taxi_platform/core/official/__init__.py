"""A month on trial: TLC's own totals, and what they say of its files.

`report.py` has what TLC reported, `verdict.py` judges a month by it, `holes.py` writes the page of the months that are
off.
"""
