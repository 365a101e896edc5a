"""What the platform costs, measured beside what it could cost at least, and beside what others cost: `make bench`."""
