"""Generated from proto/crosswind/options/. Never edited: run `make gen`."""
