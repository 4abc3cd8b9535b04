"""The people's command, against answers that a test writes. On a real server it is tested in tests/e2e/test_cli.py."""
