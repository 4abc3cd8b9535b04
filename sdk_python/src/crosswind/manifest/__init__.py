"""Generated from proto/crosswind/manifest/. Never edited: run `make gen`."""
