"""Where a model is run: a hardened container, or a plain process."""
