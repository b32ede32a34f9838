"""Configuration: its types and keys, where its files are, and the identity of a run."""
