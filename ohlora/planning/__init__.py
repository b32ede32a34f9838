"""One run before it starts: its configuration checked, and everything derived from it, computed once."""
