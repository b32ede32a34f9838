"""Write results into MLflow and read them back."""
