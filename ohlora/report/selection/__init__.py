"""The report of a model selection."""
