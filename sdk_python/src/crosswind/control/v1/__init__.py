"""Generated from proto/crosswind/control/v1/. Never edited: run `make gen`."""
