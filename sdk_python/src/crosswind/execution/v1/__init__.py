"""Generated from proto/crosswind/execution/v1/. Never edited: run `make gen`."""
