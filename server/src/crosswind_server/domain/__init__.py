"""Pure rules. Standard library only; `now` is an argument. No I/O and no protobuf."""
