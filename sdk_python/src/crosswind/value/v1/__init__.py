"""Generated from proto/crosswind/value/v1/. Never edited: run `make gen`."""
