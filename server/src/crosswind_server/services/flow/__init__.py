"""How runs go on: task instances and what follows from one to the next, timers and continuations."""
