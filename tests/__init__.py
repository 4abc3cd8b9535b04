"""Tests of the whole project. Shared fixtures are in `conftest.py`, what they start in modules beside it."""
