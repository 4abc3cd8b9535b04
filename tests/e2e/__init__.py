"""Tests on real processes: server, worker and tasks."""
