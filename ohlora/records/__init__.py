"""What a run leaves on disk: one typed model each."""
