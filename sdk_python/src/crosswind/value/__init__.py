"""Generated from proto/crosswind/value/. Never edited: run `make gen`."""
