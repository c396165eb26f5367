"""Where model versions, aliases, tags and evidence live."""
