"""What `make bench` measures, with real processes: see `__main__`."""
