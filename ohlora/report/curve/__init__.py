"""The learning curve: held-out loss by the number of training rows."""
