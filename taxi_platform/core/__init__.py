"""Knows the data and how to move it; knows nothing of Dagster (a test enforces it)."""
