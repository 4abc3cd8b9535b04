"""Tests of the pure rules: the table, random stories, and each module on its own."""
