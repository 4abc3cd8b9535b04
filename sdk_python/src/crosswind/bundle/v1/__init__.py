"""Generated from proto/crosswind/bundle/v1/. Never edited: run `make gen`."""
