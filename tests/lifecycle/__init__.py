"""Transcripts of task lifecycles, with a fake clock."""
