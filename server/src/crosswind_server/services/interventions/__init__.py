"""What people do to runs that go on without them: clear, mark, cancel, answer, deliver, and change versions."""
