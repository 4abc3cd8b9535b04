"""Unit tests of `crosswind_server.versions`."""
