"""Tests of one module at a time: no server, no database, no sleep."""
