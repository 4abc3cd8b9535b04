"""What changed in each API version of the laboratory: one module a version, as the server's own are."""
