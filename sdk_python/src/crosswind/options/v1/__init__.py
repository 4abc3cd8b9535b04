"""Generated from proto/crosswind/options/v1/. Never edited: run `make gen`."""
