"""Studies of many runs: comparisons, sweeps, skipped runs."""
