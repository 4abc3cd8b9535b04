"""Freezes API versions, and builds their artifacts again: `make release-api`, `make rebuild-release` and their like.

`records` is what is kept of a frozen version, `artifacts` builds from it, `freezing` makes it, `next_version` begins
the one after. Whether every difference between two versions is covered belongs to `codegen.compat`.
"""
