"""The people's command `crosswind`. Needs the extra `cli`."""
