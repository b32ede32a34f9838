"""Many runs: comparisons, sweeps, and what is skipped."""
