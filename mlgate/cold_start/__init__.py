"""Starting a fresh server: where the time goes, and what is judged of it. Pure."""
