"""How answers are generated: the same settings for every task and every back end."""
