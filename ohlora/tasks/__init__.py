"""What runs in the child process, written once for every back end."""
