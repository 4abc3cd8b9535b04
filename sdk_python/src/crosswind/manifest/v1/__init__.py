"""Generated from proto/crosswind/manifest/v1/. Never edited: run `make gen`."""
