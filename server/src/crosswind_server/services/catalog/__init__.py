"""Bundles, DAG versions and their plans."""
