"""Measurements. They report; no test depends on a time."""
