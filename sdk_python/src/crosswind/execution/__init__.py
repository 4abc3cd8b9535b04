"""Generated from proto/crosswind/execution/. Never edited: run `make gen`."""
