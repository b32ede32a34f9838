"""Tasks that print and exit; no child process, no run."""
