"""A small service with eight API versions that together use every kind of change, and clients of each.

- `protos/`: what every version looked like. `versions/`: what changed in each. `history`: both together.
- `service`: the handlers, written for the newest version only.
- `cases/`: what a client of some version says and hears, as data.
- `python_client`, `go_client`: programs around the stubs that are generated from an old version's protos.
"""
