"""What the training task is made of: batches, step times, evaluation, the adapter."""
