"""Generation settings, the same for every task and back end."""
