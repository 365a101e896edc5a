"""Servers as they really are, for tests and benchmarks alike."""
