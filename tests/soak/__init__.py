"""What takes an hour: `make soak` runs it, everything else leaves it out."""
