"""The phases that run in a child process, the same code for every back end."""
