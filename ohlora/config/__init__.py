"""Configuration: its types, its rules, where its files are, and the identity of a run."""
