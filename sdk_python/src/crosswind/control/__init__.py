"""Generated from proto/crosswind/control/. Never edited: run `make gen`."""
