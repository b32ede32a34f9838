"""Who the model is: its card, the items that it writes, its speech level."""
