"""One evidence, several readers."""
