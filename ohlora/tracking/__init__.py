"""MLflow: results written into it and read back."""
