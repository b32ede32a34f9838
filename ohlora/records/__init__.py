"""The files that a run leaves, each with a typed model."""
