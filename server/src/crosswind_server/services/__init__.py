"""Decide and write within a unit of work that is given; never commit."""
