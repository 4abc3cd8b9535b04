"""The Crosswind server: rpc -> services -> store, and services -> domain; versions wraps rpc."""
