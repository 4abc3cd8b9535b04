"""Calls to a Crosswind server. Knows nothing of authoring."""
