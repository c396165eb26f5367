"""Where evaluation rows are scored: `interface` says what an engine does, one file is one engine."""
