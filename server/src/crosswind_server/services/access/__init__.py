"""Who may what, and what is secret: tokens, variables, connections."""
