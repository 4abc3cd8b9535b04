"""Generated from proto/crosswind/bundle/. Never edited: run `make gen`."""
