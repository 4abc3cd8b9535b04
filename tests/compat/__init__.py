"""Tests that old clients keep working: the laboratory of API versions, and the real protocol's own."""
