"""How runs go on: task instances, what follows from one to the next, and what a transaction leaves to later ones."""
