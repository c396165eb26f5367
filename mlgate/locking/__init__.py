"""One at a time: the lock of a registered model, around everything that moves its aliases or its traffic."""
