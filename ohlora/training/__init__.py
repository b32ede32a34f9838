"""Parts of the training task: batches, step times, evaluation, the adapter."""
