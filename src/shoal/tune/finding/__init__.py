"""Numbers found by looking: a learning rate, a batch size, a time scaling. Nothing is changed."""
