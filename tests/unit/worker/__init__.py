"""The worker by itself: frames, processes, logs, outcomes, settings. With a server it is tested in `tests/e2e`."""
