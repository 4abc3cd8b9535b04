"""Runs and task instances as people see them."""
