"""Workers: registering, being heard of, leaving."""
