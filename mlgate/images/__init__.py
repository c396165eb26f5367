"""The environment image of a model version."""
